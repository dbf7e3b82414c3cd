// Ports of this machine that nobody listens on.

import { createServer } from 'node:net';

/** Below the range from which systems take ports of outgoing connections, so that a port is still free when its owner restarts. */
const FIRST = 20_000;
const LAST = 32_000;
const TRIES_MAX = 200;

/**
 * Finds ports that are free on the loopback address. Nothing keeps them so: another process may be faster, which whoever then
 * listens must expect.
 *
 * @throws Error when hardly any port is free
 */
export async function findFreePorts(count: number, random: () => number = Math.random): Promise<number[]> {
  const found = new Set<number>();
  for (let tries = 0; found.size < count; tries += 1) {
    if (tries === TRIES_MAX) throw new Error(`no ${count} free ports between ${FIRST} and ${LAST}`);
    const port = FIRST + Math.floor(random() * (LAST - FIRST));
    // oxlint-disable-next-line no-await-in-loop -- one at a time until there are enough
    if (await isFree(port)) found.add(port);
  }
  return [...found];
}

function isFree(port: number): Promise<boolean> {
  return new Promise((settle) => {
    const server = createServer();
    server.once('error', () => settle(false));
    server.listen({ port, host: '127.0.0.1', exclusive: true }, () => server.close(() => settle(true)));
  });
}
