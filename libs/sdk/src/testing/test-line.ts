// A line to a test gateway that can go silent, as when a process hangs or a network drops packets.

import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface TestLine {
  /** `127.0.0.1:<port>` */
  readonly address: string;
  /** How many connections were made over it. */
  readonly connections: number;
  /** From now on nothing comes through, and nobody is told. */
  freeze(): void;
  /** New connections go through again; those that were frozen stay so. */
  thaw(): void;
  close(): void;
}

export async function startTestLine(port: number): Promise<TestLine> {
  const sockets = new Set<Socket>();
  let isFrozen = false;
  let connections = 0;
  const server = createServer((near) => {
    connections += 1;
    const far = connect(port, '127.0.0.1');
    for (const [from, to] of [[near, far], [far, near]] as const) {
      sockets.add(from);
      from.on('error', () => to.destroy());
      from.on('close', () => to.destroy());
      if (!isFrozen) from.pipe(to);
    }
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    get connections() {
      return connections;
    },
    freeze() {
      isFrozen = true;
      for (const socket of sockets) socket.unpipe().pause();
    },
    thaw() {
      isFrozen = false;
    },
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
