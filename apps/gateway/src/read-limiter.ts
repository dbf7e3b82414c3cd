// Reads of one customer: only so many are under way at once, so that nobody's reads take up a bank that others pay through.

import type { SessionContext } from '@strife/auth';
import { toRpcError, tooManyReads } from './failures.ts';

/** More than a person or a script has under way. What is above it waits here. */
const UNDER_WAY_MAX = 8;
/** As many as one connection can have under way. What is above it is refused. */
const WAITING_MAX = 1_000;

type Context = SessionContext & { readonly signal: AbortSignal };
type Read = (request: unknown, context: Context) => unknown;

export interface ReadLimiter {
  /**
   * The same handlers, each of calls with a session. A call beyond the limit waits for one of the same customer's to end, first come, first
   * served; one that was given up meanwhile does not reach its handler. With too many waiting it throws TOO_MANY_READS.
   */
  limited<Handlers extends object>(handlers: Handlers): Handlers;
}

interface Line {
  underWay: number;
  /** Each begins one read. */
  readonly waiting: (() => void)[];
}

export function createReadLimiter({ underWayMax = UNDER_WAY_MAX, waitingMax = WAITING_MAX }: { underWayMax?: number; waitingMax?: number } = {}): ReadLimiter {
  /** Of customers who have reads under way. */
  const lines = new Map<string, Line>();

  async function inLine(customer: string, signal: AbortSignal, read: () => unknown): Promise<unknown> {
    const line = lines.get(customer) ?? { underWay: 0, waiting: [] };
    lines.set(customer, line);
    if (line.underWay < underWayMax) line.underWay += 1;
    else await turn(line);
    try {
      signal.throwIfAborted();
      return await read();
    } finally {
      const next = line.waiting.shift();
      // Who waits next takes this one's place.
      if (next !== undefined) next();
      else if (--line.underWay === 0) lines.delete(customer);
    }
  }

  function turn({ waiting }: Line): Promise<void> {
    if (waiting.length >= waitingMax) throw toRpcError(tooManyReads);
    return new Promise((resolve) => waiting.push(resolve));
  }

  function limit(read: Read): Read {
    return (request, context) => {
      const { bank, account } = context.session.account;
      return inLine(`${bank}/${account}`, context.signal, async () => read(request, context));
    };
  }

  return {
    limited: <Handlers extends object>(handlers: Handlers) =>
      Object.fromEntries(Object.entries(handlers).map(([name, read]) => [name, limit(read as Read)])) as Handlers,
  };
}
