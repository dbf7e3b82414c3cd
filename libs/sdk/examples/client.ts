// What all examples begin with: a client that is logged in. Settings come from the environment, as they would in a program of yours.

import { join } from 'node:path';
import { connect, tlsFiles, type ConnectOptions, type Strife } from '@strife/sdk';

const { GATEWAY = '127.0.0.1:7400', CERTS = 'certs' } = process.env;

/** Logged in as a user of the local cluster that `npm start` runs. */
export async function alice(options: Partial<ConnectOptions> = {}): Promise<Strife> {
  const file = (name: string): string => join(CERTS, name);
  const tls = tlsFiles({ ca: file('ca.pem'), cert: file('client-dev.pem'), key: file('client-dev.key') });
  const strife = await connect({ gateways: [GATEWAY], tls, ...options });
  await strife.login({ bank: 'alpha', username: 'alice', password: process.env['PASSWORD'] ?? 'alice-password' });
  return strife;
}
