// Sends with nodemailer what the tests ask for: a JSON array of messages on standard input, a JSON line of the outcome of each on standard output.

const fs = require('fs');
const nodemailer = require('nodemailer');

function login(message) {
    if (message.mechanism === '') return {};
    if (message.mechanism === 'XOAUTH2') return { auth: { type: 'OAuth2', user: message.user, accessToken: message.secret } };
    return { auth: { user: message.user, pass: message.secret }, authMethod: message.mechanism };
}

async function send(message) {
    const transport = nodemailer.createTransport({
        host: message.host,
        port: message.port,
        secure: message.security === 'ssl',
        requireTLS: message.security === 'starttls',
        tls: { ca: fs.readFileSync(message.ca), servername: 'localhost' },
        connectionTimeout: message.timeout * 1000,
        ...login(message),
    });
    try {
        await transport.sendMail({ from: message.from, to: message.to, subject: 'a test', text: 'Thank you.\n.\nBye.' });
        return { name: message.name, sent: true, said: '' };
    } catch (error) {
        return { name: message.name, sent: false, said: error.message };
    }
}

(async () => {
    for (const message of JSON.parse(fs.readFileSync(0))) console.log(JSON.stringify(await send(message)));
    console.error(`nodemailer ${require('nodemailer/package.json').version}, node ${process.versions.node.split('.')[0]}`);
})();
