// A payment from CommonJS that imports the module when it needs it.
const { readFileSync } = require('node:fs');
const { join } = require('node:path');

async function main() {
  const { connect, eur } = await import('@strife/sdk');
  const pem = (name) => readFileSync(join(process.env.CERTS, name));
  const tls = { ca: pem('ca.pem'), cert: pem('client-dev.pem'), key: pem('client-dev.key') };
  const strife = await connect({ gateways: [process.env.GATEWAY], tls });
  await strife.login({ bank: 'alpha', username: 'alice', password: 'alice-password' });
  const { id, state } = await strife.transfers.create({ to: 'beta/bob', amount: eur('0.01'), memo: process.env.MEMO });
  await strife.close();
  console.log(JSON.stringify({ id, state, node: process.version }));
}

void main();
