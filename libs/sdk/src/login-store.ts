// What the logins of one client keep in its SessionStore: one save after the other, and none of a login whose place another has taken.

import { StrifeError } from './errors.ts';
import type { Session } from './model.ts';

/** Where a session is kept between processes. */
export interface SessionStore {
  /**
   * What was saved last, also by another process; undefined if nobody is logged in. Asked by `connect` when it is given no session, and
   * before a refresh, since another process may have refreshed already.
   */
  load?(): Session | undefined | Promise<Session | undefined>;
  /**
   * Keeps the session, or forgets it when undefined. Durable when it returns, or resolves: a refresh is only sent after that. If it fails the
   * refresh is not sent, and login fails.
   */
  save(session: Session | undefined): void | Promise<void>;
  /**
   * Runs `work` while no other process that shares the store runs one. Needed where several do: without it two of them can ask for a
   * refresh at once, which ends the session, or one can save its refresh over another one's login.
   */
  lock?<T>(work: () => Promise<T>): Promise<T>;
}

/**
 * The store as one login may use it. From when another login of this client has taken its place the store is not its own any more: it loads
 * and saves nothing then, and lives on in memory for the calls that began with it.
 *
 * All throw StrifeError SESSION_NOT_SAVED when the store fails.
 */
export interface LoginStore {
  /** What the store holds; `unknown` where it cannot tell, or where it is not this login's any more. */
  load(): Promise<{ kind: 'stored'; session: Session | undefined } | { kind: 'unknown' }>;
  /** One after the other, so that the store keeps what was saved last. */
  save(session: Session | undefined): Promise<void>;
  /** Runs the work while no other process runs one, where the store has a lock. What the work throws is thrown as it is. */
  exclusively(work: () => Promise<void>): Promise<void>;
}

/** The logins of one client and its store. */
export interface LoginStores {
  /**
   * Saves a new login and gives the store to it, after whatever this or another process does under the store's lock. `begin` is called when it is
   * saved, before anything else can be. If that fails the login from before keeps the store.
   *
   * @throws StrifeError SESSION_NOT_SAVED
   */
  take(session: Session, begin: (store: LoginStore) => void): Promise<void>;
  /** The store for the login that was loaded from it. */
  loaded(): LoginStore;
}

export function loginStores(store: SessionStore | undefined): LoginStores {
  let current: LoginStore | undefined;
  let lastSave: Promise<void> = Promise.resolve();

  async function inTurn(work: () => Promise<void>): Promise<void> {
    const turn = lastSave.then(work);
    lastSave = turn.catch(() => {});
    await turn;
  }

  async function save(session: Session | undefined): Promise<void> {
    await asStored('the session could not be saved', async () => store?.save(session));
  }

  /** How the work ends counts, not what the lock makes of it; if it never ran, the lock has failed. */
  async function exclusively(work: () => Promise<void>): Promise<void> {
    if (!store?.lock) return work();
    let end: { kind: 'done' } | { kind: 'failed'; error: unknown } | undefined;
    const lock = async (): Promise<void> => {
      await store.lock?.(async () => {
        try {
          await work();
          end = { kind: 'done' };
        } catch (error) {
          end = { kind: 'failed', error };
          throw error;
        }
      });
      if (!end) throw new Error('the lock has not run its work');
    };
    try {
      await asStored('the store of the session could not be locked', lock);
    } catch (error) {
      if (!end) throw error;
      if (end.kind === 'failed') throw end.error;
    }
  }

  function newLogin(): LoginStore {
    const isCurrent = (): boolean => current === login;
    const login: LoginStore = {
      async load() {
        if (!store?.load || !isCurrent()) return { kind: 'unknown' };
        const session = await asStored('the session could not be loaded', async () => store.load?.());
        return isCurrent() ? { kind: 'stored', session } : { kind: 'unknown' };
      },
      save: (session) =>
        inTurn(async () => {
          if (isCurrent()) await save(session);
        }),
      exclusively: (work) => (isCurrent() ? exclusively(work) : work()),
    };
    return login;
  }

  return {
    async take(session, begin) {
      const login = newLogin();
      const takeOver = async (): Promise<void> => {
        await save(session);
        current = login;
        begin(login);
      };
      await exclusively(() => inTurn(takeOver));
    },
    loaded() {
      current = newLogin();
      return current;
    },
  };
}

/** What the store throws is its own: no gateway's word on the session, and none on a payment, which was not sent. */
async function asStored<T>(message: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (cause) {
    const why = cause instanceof Error && cause.message !== '' ? `: ${cause.message}` : '';
    throw new StrifeError(`${message}${why}`, { code: 'SESSION_NOT_SAVED', outcome: 'not_applied', cause });
  }
}
