// A payment from CommonJS that requires the ES module.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');
const { connect, eur } = require('@strife/sdk');

async function main() {
  const pem = (name) => readFileSync(join(process.env.CERTS, name));
  const tls = { ca: pem('ca.pem'), cert: pem('client-dev.pem'), key: pem('client-dev.key') };
  const strife = await connect({ gateways: [process.env.GATEWAY], tls });
  await strife.login({ bank: 'alpha', username: 'alice', password: 'alice-password' });
  const { id, state } = await strife.transfers.create({ to: 'beta/bob', amount: eur('0.01'), memo: process.env.MEMO });
  await strife.close();
  console.log(JSON.stringify({ id, state, node: process.version }));
}

void main();
