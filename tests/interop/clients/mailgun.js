// Sends by Mailgun's own client and by nodemailer with its Mailgun transport; both are told another address and nothing else.
// Settings come as JSON on standard input: {url, key, domain}; the answers go to standard output as JSON.
const Mailgun = require("mailgun.js").default ?? require("mailgun.js");
const formData = require("form-data");
const nodemailer = require("nodemailer");
const transport = require("nodemailer-mailgun-transport");

async function main() {
    const settings = JSON.parse(require("fs").readFileSync(0, "utf-8"));
    const client = new Mailgun(formData).client({ username: "api", key: settings.key, url: settings.url });
    const answers = {};
    answers.client = await client.messages.create(settings.domain, {
        from: "Anne <anne@client.example>",
        to: ["you@example.com", "Bob <b@example.com>"],
        subject: "Grüße an %recipient.first%",
        text: "Hallo %recipient.first%",
        html: "<p>Hallo %recipient.first%</p>",
        "o:tag": ["one"],
        "recipient-variables": JSON.stringify({ "you@example.com": { first: "Ann" }, "b@example.com": { first: "Böb" } }),
        attachment: { data: Buffer.from("a;b\n"), filename: "Übersicht.csv" },
    });
    try {
        await client.messages.create(settings.domain, { from: "anne@client.example", to: "you@example.com", template: "none" });
    } catch (error) {
        answers.refused = { status: error.status, details: error.details };
    }
    const mailer = nodemailer.createTransport(
        transport({ auth: { api_key: settings.key, domain: settings.domain }, url: settings.url }),
    );
    answers.nodemailer = await mailer.sendMail({
        from: "Anne <anne@client.example>",
        to: "c@example.com",
        subject: "by nodemailer",
        text: "body",
        attachments: [{ filename: "a.txt", content: "text" }],
    });
    console.log(JSON.stringify(answers));
}

main().catch((error) => {
    console.error(error);
    process.exit(1);
});
