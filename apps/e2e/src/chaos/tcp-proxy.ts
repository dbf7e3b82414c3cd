// A TCP proxy on loopback that stands between two processes and breaks what they say in every way that a network can.

import { once } from 'node:events';
import { createServer, connect } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

/** `in`: from who called to the service. `out`: back. */
export type Direction = 'in' | 'out';

export interface TcpProxy extends AsyncDisposable {
  /** `127.0.0.1:41234`: what to call instead of the service. */
  readonly address: string;
  /** Connections that are open now. */
  readonly connections: number;
  /** Bytes that were sent in this direction and are kept back. */
  held(direction: Direction): number;
  /** The service's own address. Connections that came before wait for it. */
  aim(address: string): void;
  /** From now on keeps back what is sent in this direction, on connections that are there and on new ones: a stall, or one half of it. */
  hold(direction: Direction): void;
  /** Passes on what was kept back, in order, also what a caller sent that has died since. */
  release(direction: Direction): void;
  /** Passes everything on so much later. */
  delay(delayMs: number): void;
  /** Passes on so many bytes more in this direction, all connections together; then resets the connection that has more. Once. */
  resetAfter(direction: Direction, bytes: number): void;
  /** Resets all connections; what was kept back is lost. */
  cut(): void;
  /** Resets one end of all connections and leaves the other in the belief that they are there: it is not answered. */
  halfOpen(gone: 'caller' | 'service'): void;
  /** Resets new connections as they come. */
  refuse(): void;
  /** Ends all faults, and all connections that one end believes in alone. */
  heal(): void;
  close(): Promise<void>;
}

/** What one direction does with its bytes. */
interface Rules {
  held: boolean;
  delayMs: number;
  /** Undefined: without limit. */
  bytesLeft: number | undefined;
}

interface Link {
  readonly caller: Socket;
  readonly service: Socket;
  readonly lanes: Readonly<Record<Direction, Lane>>;
  halfOpen: boolean;
  reset(): void;
}

/** More than this is not read from a sender: it meets a full window, as with a peer that has stopped. */
const HELD_BYTES_MAX = 1024 * 1024;

export async function startTcpProxy(target?: string): Promise<TcpProxy> {
  const rules: Record<Direction, Rules> = { in: noFault(), out: noFault() };
  const links = new Set<Link>();
  const waiting = new Set<Socket>();
  let aimedAt = target;
  let refusing = false;

  const server = createServer({ allowHalfOpen: true, noDelay: true }, (caller) => {
    caller.on('error', () => undefined);
    if (refusing) return void caller.resetAndDestroy();
    if (aimedAt !== undefined) return join(caller, aimedAt);
    waiting.add(caller);
    caller.once('close', () => waiting.delete(caller));
  });

  function join(caller: Socket, address: string): void {
    const [host, port] = address.split(':');
    const service = connect({ host: host!, port: Number(port), noDelay: true, allowHalfOpen: true });
    const link: Link = {
      caller, service, halfOpen: false,
      lanes: { in: openLane(caller, service, rules.in, () => link.reset()), out: openLane(service, caller, rules.out, () => link.reset()) },
      reset() {
        links.delete(link);
        caller.resetAndDestroy();
        service.resetAndDestroy();
      },
    };
    links.add(link);
    service.on('error', () => undefined);
    // A direction ends when its sender does and all that it sent is passed on; an end that is gone takes the other with it.
    caller.once('close', () => link.lanes.in.end());
    service.once('close', () => link.lanes.out.end());
    for (const socket of [caller, service]) socket.once('close', () => caller.destroyed && service.destroyed && links.delete(link));
    link.lanes.in.onDone = () => service.destroy();
    link.lanes.out.onDone = () => caller.destroy();
  }

  const each = (direction: Direction): Lane[] => [...links].map(({ lanes }) => lanes[direction]);
  const flush = (direction: Direction): void => each(direction).forEach((lane) => lane.flush());

  function cut(): void {
    for (const link of links) link.reset();
  }

  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    cut();
    for (const socket of waiting) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  };

  return {
    address: `127.0.0.1:${port}`,
    get connections() {
      return links.size;
    },
    held: (direction) => each(direction).reduce((sum, lane) => sum + lane.heldBytes(), 0),
    aim(address) {
      aimedAt = address;
      for (const caller of waiting) join(caller, address);
      waiting.clear();
    },
    hold(direction) {
      rules[direction].held = true;
    },
    release(direction) {
      rules[direction].held = false;
      flush(direction);
    },
    delay(delayMs) {
      rules.in.delayMs = delayMs;
      rules.out.delayMs = delayMs;
    },
    resetAfter(direction, bytes) {
      rules[direction].bytesLeft = bytes;
    },
    cut,
    halfOpen(gone) {
      for (const link of links) {
        link.halfOpen = true;
        link.lanes.in.mute();
        link.lanes.out.mute();
        link[gone].resetAndDestroy();
      }
    },
    refuse() {
      refusing = true;
    },
    heal() {
      refusing = false;
      Object.assign(rules.in, noFault());
      Object.assign(rules.out, noFault());
      for (const link of links) if (link.halfOpen) link.reset();
      flush('in');
      flush('out');
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

function noFault(): Rules {
  return { held: false, delayMs: 0, bytesLeft: undefined };
}

/** One direction of one connection. */
interface Lane {
  /** Told when the sender is gone and all that it sent is passed on. */
  onDone: () => void;
  heldBytes(): number;
  /** Passes on what may be passed on now. */
  flush(): void;
  /** The sender is gone for good. */
  end(): void;
  /** Nothing is passed on any more, nor that the sender is gone. */
  mute(): void;
}

interface Chunk {
  readonly bytes: Buffer;
  readonly dueAtMs: number;
}

function openLane(from: Socket, to: Socket, rules: Rules, reset: () => void): Lane {
  let chunks: Chunk[] = [];
  let bytes = 0;
  let finished = false;
  let ended = false;
  let muted = false;
  let timer: NodeJS.Timeout | undefined;
  const lane: Lane = { onDone: () => undefined, heldBytes: () => bytes, flush, end, mute };

  from.on('data', (chunk) => {
    if (muted) return;
    chunks.push({ bytes: chunk, dueAtMs: performance.now() + rules.delayMs });
    bytes += chunk.length;
    flush();
    if (bytes > HELD_BYTES_MAX) from.pause();
  });
  from.once('end', () => {
    finished = true;
    flush();
  });
  to.on('drain', () => from.resume());

  function flush(): void {
    clearTimeout(timer);
    if (muted) return;
    while (!rules.held && chunks.length > 0) {
      const { bytes: next, dueAtMs } = chunks[0]!;
      const waitMs = dueAtMs - performance.now();
      if (waitMs > 0) {
        timer = setTimeout(flush, waitMs);
        return;
      }
      if (rules.bytesLeft !== undefined && next.length > rules.bytesLeft) return dropFrom(next.subarray(0, rules.bytesLeft));
      if (rules.bytesLeft !== undefined) rules.bytesLeft -= next.length;
      chunks.shift();
      bytes -= next.length;
      if (!to.destroyed && !to.write(next)) from.pause();
    }
    if (chunks.length > 0) return;
    if (from.isPaused() && !to.writableNeedDrain) from.resume();
    // Ended before it is destroyed, so that what was written last still leaves.
    if ((finished || ended) && !to.destroyed) to.end(() => ended && lane.onDone());
  }

  /** The connection breaks in the middle of what is said, once: the next ones work. */
  function dropFrom(rest: Buffer): void {
    rules.bytesLeft = undefined;
    chunks = [];
    bytes = 0;
    if (to.destroyed || rest.length === 0) reset();
    else to.write(rest, reset);
  }

  function end(): void {
    ended = true;
    flush();
  }

  function mute(): void {
    muted = true;
    clearTimeout(timer);
  }

  return lane;
}
