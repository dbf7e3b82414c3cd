// The offline queue of one client: it follows the client's logins.

import type { CallContext } from '../call-context.ts';
import type { Session } from '../model.ts';
import type { SessionKeeper } from '../session-keeper.ts';
import { gatewayPort } from './gateway-port.ts';
import { openQueue, type ClientQueue, type QueueOptions } from './offline-queue.ts';
import { QueueNotEmptyError } from './queue-errors.ts';

export interface AttachedQueue {
  readonly queue: ClientQueue;
  /**
   * Call before the account logs out: what it has pending is held until the next login.
   *
   * @returns to be called with how the logout ended
   * @throws QueueNotEmptyError if something is pending, unless `keepQueue`
   */
  beforeLogout(account: string, keepQueue: boolean): Promise<(ended: 'logged-out' | 'still-logged-in') => void>;
  /** Writes down what is in flight, and closes the queue. */
  close(): Promise<void>;
}

/** How the queue sees its client. */
export interface QueueClient {
  readonly context: CallContext;
  /** The login at the moment; undefined if nobody is logged in. */
  readonly login: () => SessionKeeper | undefined;
  /** Told of each login, refresh, logout and end of a session. */
  readonly onSession: (listener: (session: Session | undefined) => void) => () => void;
}

/** Opens the client's queue. Throws what `openQueue` throws. */
export async function attachQueue(options: QueueOptions, { context, login, onSession }: QueueClient): Promise<AttachedQueue> {
  // Whoever logged in last and did not log out pays, even when the session has ended: the payments wait for the next login.
  let account = login()?.session?.account;
  let known = login();
  const port = gatewayPort(context, login, () => account);
  const queue = await openQueue(options, port).catch((error: unknown) => {
    port.close();
    throw error;
  });
  const unsubscribe = onSession((session) => {
    if (!session) return;
    const before = account;
    account = session.account;
    // If this fails, those payments are only shown as queued: without their login nobody sends them.
    if (before !== undefined && before !== account) queue.holdForLogin(before).catch(() => {});
    const current = login();
    port.wake(current === known ? 'renewal' : 'login');
    known = current;
  });
  return {
    queue,
    async beforeLogout(leaver, keepQueue) {
      const count = await queue.pending(leaver);
      if (count > 0 && !keepQueue) throw new QueueNotEmptyError(leaver, count);
      await queue.holdForLogin(leaver);
      return (ended) => {
        if (ended === 'still-logged-in') port.wake('login');
        else if (account === leaver) account = undefined;
      };
    },
    async close() {
      unsubscribe();
      port.close();
      await queue.close();
    },
  };
}
