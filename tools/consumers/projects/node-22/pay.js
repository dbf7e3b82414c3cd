// A payment from a plain JavaScript module.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, eur } from '@strife/sdk';

const pem = (name) => readFileSync(join(process.env.CERTS, name));
const tls = { ca: pem('ca.pem'), cert: pem('client-dev.pem'), key: pem('client-dev.key') };
const strife = await connect({ gateways: [process.env.GATEWAY], tls });
await strife.login({ bank: 'alpha', username: 'alice', password: 'alice-password' });
const { id, state } = await strife.transfers.create({ to: 'beta/bob', amount: eur('0.01'), memo: process.env.MEMO });
await strife.close();
console.log(JSON.stringify({ id, state, node: process.version }));

