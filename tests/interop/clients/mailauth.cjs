// mailauth over files, with keys out of a file instead of the DNS; a line of JSON for each file.
//     verify KEYS FILE...                               [DKIM results], ARC's state or null
//     sign SELECTOR DOMAIN KEYFILE METHODS FILE...      the field, by the methods (c=, with commas between) in turn
//     arc-seal SELECTOR DOMAIN KEYFILE RESULTS CV FILE...   the set; RESULTS as they stand behind the instance
const fs = require('node:fs');
const { dkimVerify, dkimSign, arc, sealMessage } = require('mailauth');

const say = value => console.log(JSON.stringify(value));

async function verify(file, ...names) {
    const lines = fs.readFileSync(file, 'utf-8').split('\n').filter(Boolean);
    const keys = new Map(lines.map(line => [line.slice(0, line.indexOf(' ')), line.slice(line.indexOf(' ') + 1)]));
    const resolver = async name => {
        if (!keys.has(name)) throw Object.assign(new Error('no such name'), { code: 'ENOTFOUND' });
        return [[keys.get(name)]];
    };
    for (const name of names) {
        const dkim = await dkimVerify(fs.readFileSync(name), { resolver });
        const chain = dkim.arc ? await arc(dkim.arc, { resolver }) : false;
        say([dkim.results.map(one => one.status.result), chain ? chain.status.result : null]);
    }
}

async function sign(selector, signingDomain, keyFile, methods, ...names) {
    const privateKey = fs.readFileSync(keyFile);
    const forms = methods.split(',');
    for (const [number, name] of names.entries()) {
        const signatureData = [{ signingDomain, selector, privateKey }];
        const canonicalization = forms[number % forms.length];
        const made = await dkimSign(fs.readFileSync(name), { canonicalization, algorithm: 'rsa-sha256', signatureData });
        if (made.errors.length) throw made.errors[0].err;
        say(made.signatures);
    }
}

async function seal(selector, signingDomain, keyFile, authResults, cv, ...names) {
    const privateKey = fs.readFileSync(keyFile);
    for (const name of names) {
        say((await sealMessage(fs.readFileSync(name), { signingDomain, selector, privateKey, authResults, cv })).toString());
    }
}

const [verb, ...rest] = process.argv.slice(2);
({ verify, sign, 'arc-seal': seal })[verb](...rest).catch(error => {
    console.error(error);
    process.exit(1);
});
