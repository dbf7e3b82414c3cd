// The offline queue as users see it: payments that are saved first and delivered when they can be.

import { EventEmitter } from 'node:events';
import { AuthenticationError, StrifeError } from '../errors.ts';
import { checkedId } from '../payment-request.ts';
import { asStrifeError, Delivery } from './delivery.ts';
import { invalid, mayBeApplied, newRow, notFound, requireOpen, requireSame, type NewQueuedTransfer } from './queue-arguments.ts';
import { notQueued, QueueFullError, QueueStorageError } from './queue-errors.ts';
import { systemQueueClock, type QueueClock, type QueuePort } from './queue-port.ts';
import { afterRetry, BATCH_ITEMS_MAX, limitInTheWay, mayDrop, type QueueLimits } from './queue-rules.ts';
import { PENDING_STATES, type QueuedTransfer, type QueueRow, type QueueState, type QueueStore, type QueueUsage, type SetAside } from './queue-store.ts';

const PAYMENTS_MAX = 10_000;
const RESULTS_PAGE = 100;
/** Only to keep the process alive while somebody waits; the longest that a timer can be set to. */
const FAR_AWAY_MS = 2 ** 31 - 1;

/** Where payments are queued, and how many. */
export interface QueueOptions {
  /** A SQLite file, made when missing; any number of processes may share it. */
  file?: string | undefined;
  /** In place of the file: a store of your own. The queue closes it. */
  store?: QueueStore | undefined;
  /** The most that may be pending at once. Default: 10,000 payments. */
  limits?: Partial<QueueLimits> | undefined;
  /**
   * The most payments that travel in one message; default 100. With 1, each payment is sent after the one before it has ended: the order
   * then holds even where an attempt fails in passing.
   */
  batchItemsMax?: number | undefined;
  /** False: nothing is sent but by `flush`. Default: payments are delivered in the background. */
  background?: boolean | undefined;
}

/** What a flush left behind. */
export interface FlushReport {
  /** Payments that are still pending, of all payers. */
  pending: number;
  /** Why one of them could not be delivered; absent if none was tried in vain. */
  problem?: StrifeError | undefined;
}

/**
 * What listeners are told. Payments that another process delivered are told too. `results` misses nothing, also over restarts; events are
 * for those who are there.
 */
export interface QueueEvents {
  delivered: [payment: QueuedTransfer];
  declined: [payment: QueuedTransfer];
  expired: [payment: QueuedTransfer];
  /** It is not tried any more until `retry`; `problem` says why. */
  'set-aside': [payment: QueuedTransfer];
  /** A gateway refused the payer's session: all payments of that payer wait for a login. */
  'needs-login': [payer: string];
  /** The background work failed, and is tried again: the queue's file cannot be read or written. */
  failure: [error: StrifeError];
}

/** Payments that are saved first, then delivered, in order for each payer. */
export interface OfflineQueue extends AsyncDisposable {
  /** The file. */
  readonly location: string;
  /** Set if a corrupt file was in this place when the queue was opened: it lies at `path` now, and nothing of it was deleted. */
  readonly setAside: SetAside | undefined;
  /**
   * Queues a payment. It is on disk when this resolves, and is then delivered even if this process dies at once; exactly once.
   * A payment that is queued already, under its id, is returned as it is.
   *
   * @throws QueueFullError, and QueueStorageError for a disk that is full or fails: the payment is NOT queued, unless `code` says that
   *   this is not known
   * @throws AuthenticationError if nobody is logged in; InvalidArgumentError; ConflictError for an id that is queued with other content
   */
  enqueue(payment: NewQueuedTransfer): Promise<QueuedTransfer>;
  /** In the order in which they were queued; ended ones too, until they are forgotten. */
  list(filter?: { state?: QueueState | undefined; payer?: string | undefined }): Promise<QueuedTransfer[]>;
  /** Throws NotFoundError. */
  get(id: string): Promise<QueuedTransfer>;
  /** How many payments are still to be delivered, of one payer or of all. */
  pending(payer?: string): Promise<number>;
  /**
   * Delivers a payment again that was set aside, and any other pending one at once; also one that waits for a login, if its payer has one.
   *
   * @throws NotFoundError; StrifeError `QUEUE_ENDED` if it was done, declined or expired
   */
  retry(id: string): Promise<QueuedTransfer>;
  /**
   * Forgets a payment: one that was never sent, or whose end is certain.
   *
   * @throws NotFoundError; StrifeError `QUEUE_MAY_BE_APPLIED` if its money may have moved, or is about to
   */
  drop(id: string): Promise<void>;
  /**
   * Delivers now, and tries again what waits for a login if its payer has one. Resolves when nothing more is to be done at the moment: all is
   * delivered, or what is left waits for a login or failed again.
   * Rejects with the signal's reason when cancelled.
   */
  flush(options?: { signal?: AbortSignal | undefined }): Promise<FlushReport>;
  /**
   * The results, as they come, without end: payments that were done, declined, expired or set aside. Begins after `after`, by default
   * after what was acknowledged, so that whoever acknowledges what it has dealt with sees each result at least once.
   *
   * @param options.follow false: end with the results that are there
   */
  results(options?: {
    after?: number | undefined;
    follow?: boolean | undefined;
    signal?: AbortSignal | undefined;
  }): AsyncIterableIterator<QueuedTransfer & { readonly resultSeq: number }>;
  /** Says that the results up to this one were dealt with. The last 1,000 of them are kept for `list`, the older ones are forgotten. */
  acknowledge(resultSeq: number): Promise<void>;
  /** Returns what ends the listening. */
  on<Name extends keyof QueueEvents>(event: Name, listener: (...args: QueueEvents[Name]) => void): () => void;
  /** Stops delivering; what is queued stays queued. */
  close(): Promise<void>;
}

/** What the client itself uses of its queue. */
export interface ClientQueue extends OfflineQueue {
  /** The payer logs out: what is pending waits for the next login. */
  holdForLogin(payer: string): Promise<void>;
}

/** Opens a queue and begins to deliver. Throws QueueStorageError; InvalidArgumentError for a bad option. */
export async function openQueue(options: QueueOptions, port: QueuePort, clock: QueueClock = systemQueueClock): Promise<ClientQueue> {
  const { batchItemsMax = BATCH_ITEMS_MAX } = options;
  if (!Number.isInteger(batchItemsMax) || batchItemsMax < 1 || batchItemsMax > BATCH_ITEMS_MAX) {
    throw invalid('INVALID_OPTION', 'batchItemsMax', `batchItemsMax must be 1 to ${BATCH_ITEMS_MAX}`);
  }
  const store = options.store ?? (await openFile(options.file));
  const { last } = await store.marks().catch(async (error: unknown) => {
    await store.close();
    throw error;
  });
  return new StoredQueue(store, port, clock, { ...options, batchItemsMax }, last);
}

async function openFile(file: string | undefined): Promise<QueueStore> {
  if (!file) throw invalid('INVALID_OPTION', 'queue', 'a queue needs a file or a store');
  // Loaded on first use, so that those without a queue do not load SQLite.
  const { openSqliteQueueStore } = await import('./sqlite-queue-store.ts');
  return openSqliteQueueStore(file);
}

class StoredQueue implements ClientQueue {
  readonly #store: QueueStore;
  readonly #port: QueuePort;
  readonly #clock: QueueClock;
  readonly #limits: QueueLimits;
  readonly #delivery: Delivery;
  readonly #events = new EventEmitter<QueueEvents>();
  readonly #closing = new AbortController();
  #announced: number;
  #announcing: Promise<void> = Promise.resolve();

  constructor(store: QueueStore, port: QueuePort, clock: QueueClock, options: QueueOptions & { batchItemsMax: number }, last: number) {
    this.#store = store;
    this.#port = port;
    this.#clock = clock;
    this.#limits = {
      payments: options.limits?.payments ?? PAYMENTS_MAX,
      amountEach: options.limits?.amountEach ?? [],
      amountInTotal: options.limits?.amountInTotal ?? [],
    };
    this.#announced = last;
    store.watch(() => this.#announce());
    this.#delivery = new Delivery({
      store,
      port,
      clock,
      batchItemsMax: options.batchItemsMax,
      isBackground: options.background ?? true,
      onNeedsLogin: (payer) => this.#emit('needs-login', payer),
      onFailure: (error) => this.#emit('failure', error),
    });
  }

  get location(): string {
    return this.#store.location;
  }

  get setAside(): SetAside | undefined {
    return this.#store.setAside;
  }

  async enqueue(payment: NewQueuedTransfer): Promise<QueuedTransfer> {
    const from = this.#port.payer();
    if (from === undefined) {
      throw new AuthenticationError('nobody is logged in, so it is not known who pays', { code: 'NOT_LOGGED_IN', outcome: 'not_applied' });
    }
    const mayTry = this.#port.canPay(from) && !this.#delivery.isPaused(from);
    const row = newRow(payment, from, mayTry ? 'queued' : 'needs-login', this.#clock.unixMs());
    const admit = (usage: QueueUsage): void => {
      const limit = limitInTheWay(row.amount, usage, this.#limits);
      if (limit) throw new QueueFullError(limit, row.id);
    };
    const kept = await this.#store.add(row, admit).catch((error: unknown) => {
      throw error instanceof QueueStorageError ? notQueued(error, row.id) : error;
    });
    if (kept !== row) requireSame(kept, row);
    return shown(kept);
  }

  async list({ state, payer }: { state?: QueueState | undefined; payer?: string | undefined } = {}): Promise<QueuedTransfer[]> {
    return (await this.#store.list({ payer, ...(state && { states: [state] }) })).map(shown);
  }

  async get(id: string): Promise<QueuedTransfer> {
    const [row] = await this.#store.list({ ids: [checkedId(id)] });
    return row ? shown(row) : notFound(id);
  }

  async pending(payer?: string): Promise<number> {
    return (await this.#store.list({ payer, states: PENDING_STATES })).length;
  }

  async retry(id: string): Promise<QueuedTransfer> {
    const [row] = await this.#store.change({ ids: [checkedId(id)] }, (rows) => rows.map(requireOpen).map(afterRetry));
    if (!row) return notFound(id);
    this.#delivery.hurry(row.from);
    return shown(row);
  }

  async drop(id: string): Promise<void> {
    let wasThere = false;
    await this.#store.remove(checkedId(id), (row) => {
      wasThere = true;
      if (!mayDrop(row)) throw mayBeApplied(row);
    });
    if (!wasThere) notFound(id);
  }

  async flush({ signal }: { signal?: AbortSignal | undefined } = {}): Promise<FlushReport> {
    const ending = signal ? AbortSignal.any([signal, this.#closing.signal]) : this.#closing.signal;
    const problem = await this.#keepingAlive(() => this.#delivery.flush(ending));
    return { pending: await this.pending(), ...(problem && { problem }) };
  }

  async *results({ after, follow = true, signal }: Parameters<OfflineQueue['results']>[0] = {}): ReturnType<OfflineQueue['results']> {
    let seq = after ?? (await this.#store.marks()).acknowledged;
    const changes = new ChangeFlag();
    const unsubscribe = this.#store.watch(() => changes.raise());
    const wake = (): void => changes.raise();
    this.#closing.signal.addEventListener('abort', wake);
    signal?.addEventListener('abort', wake);
    try {
      for (;;) {
        signal?.throwIfAborted();
        if (this.#closing.signal.aborted) return;
        const rows = await this.#store.results(seq, RESULTS_PAGE);
        for (const row of rows) {
          seq = row.resultSeq!;
          yield { ...shown(row), resultSeq: seq };
        }
        if (rows.length > 0) continue;
        if (!follow) return;
        await this.#keepingAlive(() => changes.raised());
      }
    } finally {
      unsubscribe();
      this.#closing.signal.removeEventListener('abort', wake);
      signal?.removeEventListener('abort', wake);
    }
  }

  async acknowledge(resultSeq: number): Promise<void> {
    await this.#store.acknowledge(resultSeq);
  }

  on<Name extends keyof QueueEvents>(event: Name, listener: (...args: QueueEvents[Name]) => void): () => void {
    const emitter = this.#events as EventEmitter;
    emitter.on(event, listener);
    return () => void emitter.off(event, listener);
  }

  async holdForLogin(payer: string): Promise<void> {
    this.#delivery.pause(payer);
    await this.#store.change({ payer, states: ['queued'] }, (rows) => rows.map((row) => ({ ...row, state: 'needs-login' })));
  }

  async close(): Promise<void> {
    if (this.#closing.signal.aborted) return;
    this.#closing.abort(new StrifeError('the queue is closed', { code: 'CLOSED' }));
    await this.#delivery.stop();
    await this.#announcing;
    await this.#store.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Tells listeners of the results that are new; one run after the other, so that each is told once. */
  #announce(): void {
    this.#announcing = this.#announcing.then(async () => {
      try {
        for (;;) {
          const rows = await this.#store.results(this.#announced, RESULTS_PAGE);
          for (const row of rows) {
            this.#announced = row.resultSeq!;
            this.#emitResult(row);
          }
          if (rows.length < RESULTS_PAGE) return;
        }
      } catch (error) {
        if (!this.#closing.signal.aborted) this.#emit('failure', asStrifeError(error));
      }
    });
  }

  #emitResult(row: QueueRow): void {
    switch (row.state) {
      case 'done':
        return this.#emit('delivered', shown(row));
      case 'declined':
      case 'expired':
        return this.#emit(row.state, shown(row));
      case 'failed':
        return this.#emit('set-aside', shown(row));
      case 'queued':
      case 'sending':
      case 'needs-login':
        return;
    }
  }

  /** A listener that throws is its program's trouble, not the queue's. */
  #emit<Name extends keyof QueueEvents>(event: Name, ...args: QueueEvents[Name]): void {
    for (const listener of (this.#events as EventEmitter).listeners(event)) {
      try {
        listener(...args);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }

  /** The queue's own timers let a process end; one that waits for them must not. */
  async #keepingAlive<T>(work: () => Promise<T>): Promise<T> {
    const alive = setInterval(() => {}, FAR_AWAY_MS);
    try {
      return await work();
    } finally {
      clearInterval(alive);
    }
  }
}

/** The row without what only the queue itself needs. */
function shown(row: QueueRow): QueuedTransfer {
  const payment: QueuedTransfer & { badAnswers?: number } = { ...row };
  delete payment.badAnswers;
  return payment;
}

/** Remembers that something changed until somebody has waited for it. */
class ChangeFlag {
  #isRaised = false;
  #resolve: (() => void) | undefined;

  raise(): void {
    this.#isRaised = true;
    this.#resolve?.();
  }

  async raised(): Promise<void> {
    if (!this.#isRaised) await new Promise<void>((resolve) => (this.#resolve = resolve));
    this.#isRaised = false;
  }
}
