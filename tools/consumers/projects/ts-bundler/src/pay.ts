// A payment from TypeScript as bundlers resolve modules.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect, eur, StrifeError, type Transfer } from '@strife/sdk';

function setting(name: string): string {
  const value = process.env[name];
  if (value === undefined) throw new Error(`${name} is not set`);
  return value;
}

const pem = (name: string): Buffer => readFileSync(join(setting('CERTS'), name));
const tls = { ca: pem('ca.pem'), cert: pem('client-dev.pem'), key: pem('client-dev.key') };
const strife = await connect({ gateways: [setting('GATEWAY')], tls });
try {
  await strife.login({ bank: 'alpha', username: 'alice', password: 'alice-password' });
  const transfer: Transfer = await strife.transfers.create({ to: 'beta/bob', amount: eur('0.01'), memo: setting('MEMO') });
  console.log(JSON.stringify({ id: transfer.id, state: transfer.state, node: process.version }));
} catch (error) {
  if (error instanceof StrifeError) console.error(error.code, error.outcome, error.transferId);
  throw error;
} finally {
  await strife.close();
}
