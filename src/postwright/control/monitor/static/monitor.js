/* The monitor in the browser: theme, live figures, charts, the dialogue of actions. Pages work without it; nothing here decides anything. */
(function () {
  "use strict";
  const root = document.documentElement;
  const stored = (key) => { try { return localStorage.getItem(key); } catch { return null; } };
  const theme = stored("theme");
  if (theme) root.dataset.theme = theme;

  function toggleTheme() {
    const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { /* a browser that keeps nothing: for this page only */ }
    document.querySelectorAll(".chart").forEach((element) => element.draw && element.draw());
  }

  /* Live figures: one event stream for the page; elements say what they show with data-live. */
  function show(sample) {
    document.querySelectorAll("[data-live]").forEach((element) => {
      const text = sample.text[element.dataset.live];
      if (text === undefined || element.textContent === text) return;
      element.textContent = text;
      element.classList.remove("changed");
      void element.offsetWidth;
      element.classList.add("changed");
    });
    document.querySelectorAll(".chart").forEach((element) => element.extend && element.extend(sample));
  }

  function listen() {
    const state = document.getElementById("live-state");
    const source = new EventSource("/ui/live");
    source.addEventListener("sample", (event) => { state.hidden = true; show(JSON.parse(event.data)); });
    source.addEventListener("error", () => { state.hidden = false; });
    addEventListener("pagehide", () => source.close());
    addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  }

  /* A chart: <div class="chart" data-history="URL" data-names="…" data-styles="in out …" data-seconds="600">. */
  function chart(element) {
    const names = element.dataset.names.split("|");
    const styles = element.dataset.styles.split(" ");
    const status = element.parentElement.querySelector("[role=status]");
    let seconds = Number(element.dataset.seconds);
    let data = null;
    let step = 1;
    let plot = null;
    const colour = (name) => getComputedStyle(root).getPropertyValue("--" + name).trim();

    function moments(_, splits) {
      const long = data[0].length > 1 && data[0][data[0].length - 1] - data[0][0] > 172800;
      return splits.map((at) => { const text = new Date(at * 1000).toISOString(); return long ? text.slice(5, 10) : text.slice(11, step < 10 && splits.length > 8 ? 19 : 16); });
    }

    function options() {
      const axis = { stroke: colour("soft"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line"), width: 1 } };
      const series = names.map((name, n) => ({
        label: name, stroke: colour(styles[n]), width: 2, spanGaps: false, dash: n % 2 ? [6, 3] : undefined,
        value: (_, value) => (value === null || value === undefined ? "-" : value.toLocaleString("en", { maximumFractionDigits: 2 })),
      }));
      return {
        width: Math.max(240, element.clientWidth), height: 260, series: [{ label: element.dataset.time, value: (_, at) => (at ? new Date(at * 1000).toISOString().slice(0, 19).replace("T", " ") : "-") }, ...series],
        axes: [{ ...axis, space: 80, values: moments }, { ...axis, size: 60 }], tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
        scales: { y: { range: (_, low, high) => [0, Math.max(high || 0, 1)] } }, cursor: { drag: { x: false, y: false } },
      };
    }
    element.draw = function () {
      if (!data) return;
      if (plot) plot.destroy();
      plot = new uPlot(options(), data, element);
    };
    element.extend = function (sample) {
      if (!plot || step !== 1) return;
      const row = sample.columns;
      if (sample.time <= data[0][data[0].length - 1]) return;
      data = data.map((column, n) => column.concat(n ? [row[n - 1]] : [sample.time]).slice(-seconds));
      plot.setData(data);
    };
    async function load() {
      const url = new URL(element.dataset.history, location.href);
      url.searchParams.set("seconds", seconds);
      try {
        const answer = await fetch(url, { headers: { Accept: "application/json" } });
        if (!answer.ok) throw new Error(answer.status);
        const told = await answer.json();
        step = told.step;
        data = [told.times, ...told.columns.slice(0, names.length)];
        status.textContent = told.columns[0].some((value) => value !== null) ? "" : element.dataset.nothing;
        element.draw();
      } catch { status.textContent = element.dataset.trouble; }
    }
    element.parentElement.querySelectorAll("button[data-seconds]").forEach((button) => {
      button.addEventListener("click", () => {
        seconds = Number(button.dataset.seconds);
        element.parentElement.querySelectorAll("button[data-seconds]").forEach((one) => one.setAttribute("aria-pressed", one === button));
        load();
      });
    });
    new ResizeObserver(() => { if (plot && Math.abs(plot.width - element.clientWidth) > 4) plot.setSize({ width: Math.max(240, element.clientWidth), height: 260 }); }).observe(element);
    setInterval(() => { if (step > 1 && !document.hidden) load(); }, 30000);
    load();
  }

  /* Actions: their form comes into one dialogue; what was focused before gets the focus back (the browser sees to that). */
  function dialogue() {
    const dialog = document.getElementById("dialog");
    document.body.addEventListener("htmx:afterSettle", (event) => { if (event.detail.target === dialog && !dialog.open && dialog.innerHTML) dialog.showModal(); });
    dialog.addEventListener("click", (event) => { if (event.target === dialog || event.target.closest("[data-close]")) { event.preventDefault(); dialog.close(); } });
    dialog.addEventListener("close", () => { const done = dialog.querySelector("[data-reload]"); dialog.replaceChildren(); if (done) location.reload(); });
    document.body.addEventListener("htmx:configRequest", (event) => {
      const token = document.querySelector("meta[name=csrf-token]");
      if (token) event.detail.headers["X-CSRF-Token"] = token.content;
    });
    document.body.addEventListener("htmx:beforeRequest", (event) => {
      const polls = (event.detail.elt.getAttribute("hx-trigger") || "").startsWith("every");
      const reads = event.detail.elt.querySelector(":focus-visible") !== null; // who walks through it with the keyboard must not be thrown out
      if (polls && (document.hidden || reads || getSelection().toString())) event.preventDefault();
    });
    const trouble = document.getElementById("trouble");
    function tell(text) { // where it is seen: in the dialogue, as long as that is in front of the page
      let place = trouble;
      if (dialog.open) {
        place = dialog.querySelector("[role=alert]") || dialog.insertBefore(trouble.cloneNode(), dialog.firstChild);
        place.removeAttribute("id");
      }
      place.textContent = text;
      place.hidden = false;
    }
    document.body.addEventListener("htmx:responseError", (event) => {
      const { responseText: said, status } = event.detail.xhr; // a page is no sentence
      tell((said && !said.startsWith("<") ? said.slice(0, 500) : trouble.dataset.text) + (status === 403 ? " " + trouble.dataset.again : ""));
    });
    document.body.addEventListener("htmx:sendError", () => tell(trouble.dataset.lost));
    document.body.addEventListener("htmx:afterRequest", (event) => { if (event.detail.successful) trouble.hidden = true; });
  }

  document.addEventListener("DOMContentLoaded", () => {
    document.getElementById("theme").addEventListener("click", toggleTheme);
    dialogue();
    document.querySelectorAll(".chart").forEach(chart);
    if (document.querySelector("[data-live]")) listen();
  });
})();
