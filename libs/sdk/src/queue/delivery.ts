// Delivers queued payments in the background: each payer's in their order, different payers' side by side.
//
// One round of a payer: take the claim, so that nobody else sends for this payer; write down what is about to be sent; send; write down
// what came of it; let the claim go. A program that dies anywhere in between leaves rows that say all that the next one must know.

import { StrifeError } from '../errors.ts';
import type { OutgoingPayment, QueueClock, QueuePort, SendResult, WakeReason } from './queue-port.ts';
import { afterNoSend, afterSend, backOffMs, expireUnsent, hasEnded, nextBatchItems, takeNext } from './queue-rules.ts';
import { PENDING_STATES, type QueueRow, type QueueStore } from './queue-store.ts';

/** How often it is looked whether another process has let a payer's claim go; only while that payer has pending payments. */
const CLAIM_RETRY_MS = 500;
/** How often it is looked, at least, whether a payment's time is over: the wall clock may jump. */
const EXPIRY_CHECK_MS = 30_000;
/** How often it is looked at most. */
const EXPIRY_PAUSE_MS = 10;

export interface DeliveryOptions {
  readonly store: QueueStore;
  readonly port: QueuePort;
  readonly clock: QueueClock;
  /** The most payments of one message. */
  readonly batchItemsMax: number;
  /** Whether anything is sent without `flush`. */
  readonly isBackground: boolean;
  /** A gateway refused the session of this payer, whose payments wait for a login now. */
  readonly onNeedsLogin: (payer: string) => void;
  /** The background work failed; it is tried again later. */
  readonly onFailure: (error: StrifeError) => void;
}

/** How one round of a payer ended. */
type RoundEnd =
  /** Nothing is pending. */
  | { kind: 'drained' }
  /** Payments ended, and there may be more. */
  | { kind: 'progress' }
  /** Something did not go through and is tried again later. `ended` says whether anything else did; `isOffline`, that no gateway was there. */
  | { kind: 'stuck'; ended: boolean; isOffline: boolean; error: StrifeError | undefined }
  | { kind: 'needs-login' }
  /** Another process is at it. */
  | { kind: 'elsewhere' };

export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #stopping = new AbortController();
  readonly #lanes = new Map<string, Lane>();
  #looking: Promise<void> | undefined;
  /** Cleared where the loop ends, not when its promise resolves: a wish in between would be lost. */
  #isLooking = false;
  #isLookWanted = false;
  #expiryTimer: NodeJS.Timeout | undefined;
  readonly #unsubscribe: (() => void)[];

  constructor(options: DeliveryOptions) {
    this.#options = options;
    const { port, store } = options;
    this.#unsubscribe = [port.onWake((reason) => this.#wake(reason)), store.watch(() => this.look())];
    this.look();
  }

  /** Whether the payer's session was refused, and there was no login, renewal, flush or retry since. */
  isPaused(payer: string): boolean {
    return this.#lanes.get(payer)?.isPaused === true;
  }

  /** Tries nothing more for this payer until somebody logs in, or asks for it. */
  pause(payer: string): void {
    this.#lane(payer).isPaused = true;
  }

  /** Tries this payer's payments at once, if there is a session for them: also one that was refused, for the refusal may have been taken back. */
  hurry(payer: string): void {
    const lane = this.#lane(payer);
    if (this.#options.port.canPay(payer)) lane.isPaused = false;
    lane.hurry();
    this.look();
  }

  /** Ends what has expired, and starts what can be started; nothing that waits for its back-off is hurried. */
  look(): void {
    this.#isLookWanted = true;
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#looking = this.#look();
  }

  /**
   * Tries everything at once, as `hurry` does. Resolves when every payer's payments have ended, wait for a login, or were tried without
   * success; with the reason of one that was not successful.
   */
  async flush(signal: AbortSignal): Promise<StrifeError | undefined> {
    await this.#expire();
    const payers = (await this.#options.store.payers()).filter((payer) => this.#options.port.canPay(payer));
    const ends = await Promise.all(payers.map((payer) => this.#lane(payer).tryNow(signal)));
    return ends.map((end) => (end.kind === 'stuck' ? end.error : undefined)).find((error) => error !== undefined);
  }

  /** Ends after what is in flight was cut off and written down. */
  async stop(): Promise<void> {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#stopping.abort(new StrifeError('the queue is closed', { code: 'CLOSED' }));
    await this.#looking;
    await Promise.all([...this.#lanes.values()].map((lane) => lane.ended()));
    clearTimeout(this.#expiryTimer);
  }

  #wake(reason: WakeReason): void {
    for (const lane of this.#lanes.values()) {
      if (reason !== 'gateway') lane.isPaused = false;
      if (reason === 'login') lane.logins += 1;
      lane.hurry();
    }
    this.look();
  }

  async #payable(): Promise<string[]> {
    const payers = await this.#options.store.payers();
    return payers.filter((payer) => this.#options.port.canPay(payer) && !this.isPaused(payer));
  }

  #lane(payer: string): Lane {
    let lane = this.#lanes.get(payer);
    if (!lane) this.#lanes.set(payer, (lane = new Lane(payer, this.#options, this.#stopping.signal)));
    return lane;
  }

  async #look(): Promise<void> {
    while (this.#isLookWanted && !this.#stopping.signal.aborted) {
      this.#isLookWanted = false;
      try {
        await this.#expire();
        if (!this.#options.isBackground) continue;
        for (const payer of await this.#payable()) this.#lane(payer).start();
      } catch (error) {
        if (!this.#stopping.signal.aborted) this.#options.onFailure(asStrifeError(error));
      }
    }
    this.#isLooking = false;
  }

  /** Ends what is past its time, of all payers, and sets the alarm for the next. */
  async #expire(): Promise<void> {
    const { store, clock } = this.#options;
    let next = await store.nextExpiry();
    if (next && next.getTime() <= clock.unixMs()) {
      await store.change({ states: PENDING_STATES }, (rows) => expireUnsent(rows, clock.unixMs()));
      next = await store.nextExpiry();
    }
    clearTimeout(this.#expiryTimer);
    if (!next || this.#stopping.signal.aborted) return;
    const waitMs = Math.min(next.getTime() - clock.unixMs(), EXPIRY_CHECK_MS);
    this.#expiryTimer = setTimeout(() => this.look(), Math.max(EXPIRY_PAUSE_MS, waitMs)).unref();
  }
}

/** One payer's payments, delivered one message after the other. */
class Lane {
  isPaused = false;
  /** How often somebody has logged in. A refusal of a send from before the last time is no reason to pause. */
  logins = 0;
  readonly #payer: string;
  readonly #options: DeliveryOptions;
  readonly #stopping: AbortSignal;
  #running: Promise<void> | undefined;
  /** Cleared where the rounds end, not when their promise resolves: a start in between would be lost. */
  #isRunning = false;
  /** Somebody asked for a start since the last round began. */
  #isWanted = false;
  #failures = 0;
  #batchItems = 1;
  /** Ends the pause that the lane is in. */
  #hurry = new AbortController();
  #waiters: ((end: RoundEnd) => void)[] = [];

  constructor(payer: string, options: DeliveryOptions, stopping: AbortSignal) {
    this.#payer = payer;
    this.#options = options;
    this.#stopping = stopping;
  }

  /** Delivers what there is, if it is not doing so already. */
  start(): void {
    this.#isWanted = true;
    if (this.#isRunning || this.isPaused || this.#stopping.aborted) return;
    this.#isRunning = true;
    this.#running = this.#run();
  }

  /** Ends a pause: the one that it is in, or the one after the round that is under way. */
  hurry(): void {
    this.#failures = 0;
    this.#hurry.abort();
  }

  /** How the rounds from now on end: the first end that is not progress. Lifts a pause for a login. */
  tryNow(signal: AbortSignal): Promise<RoundEnd> {
    return new Promise((resolve, reject) => {
      const waiter = (end: RoundEnd): void => {
        signal.removeEventListener('abort', giveUp);
        resolve(end);
      };
      const giveUp = (): void => {
        this.#waiters = this.#waiters.filter((each) => each !== waiter);
        reject(signal.reason as Error);
      };
      if (signal.aborted) return giveUp();
      signal.addEventListener('abort', giveUp, { once: true });
      this.#waiters.push(waiter);
      this.isPaused = false;
      this.hurry();
      this.start();
      if (!this.#isRunning) this.#tell({ kind: 'needs-login' });
    });
  }

  async ended(): Promise<void> {
    await this.#running;
    this.#tell({ kind: 'elsewhere' });
  }

  async #run(): Promise<void> {
    try {
      while (!this.#stopping.aborted && !this.isPaused) {
        if (!this.#options.isBackground && this.#waiters.length === 0) return;
        this.#isWanted = false;
        this.#hurry = new AbortController();
        const end = await this.#roundOrFailure();
        switch (end.kind) {
          case 'drained':
            if (this.#isWanted) break;
            return this.#tell(end);
          case 'needs-login':
            if (!this.isPaused) break;
            return this.#tell(end);
          case 'progress':
            this.#failures = 0;
            break;
          case 'stuck':
            this.#failures = end.ended ? 1 : this.#failures + 1;
            this.#tell(end);
            if (!this.#options.isBackground) break;
            await this.#pause(backOffMs(this.#failures, end.isOffline, this.#options.clock.random()));
            break;
          case 'elsewhere':
            await this.#pause(CLAIM_RETRY_MS);
            break;
        }
      }
      this.#tell({ kind: 'needs-login' });
    } finally {
      this.#isRunning = false;
    }
  }

  #tell(end: RoundEnd): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters) waiter(end);
  }

  async #pause(ms: number): Promise<void> {
    try {
      await this.#options.clock.sleep(ms, AbortSignal.any([this.#stopping, this.#hurry.signal]));
    } catch {
      // Somebody has a reason to go on at once.
    }
  }

  async #roundOrFailure(): Promise<RoundEnd> {
    try {
      return await this.#round();
    } catch (thrown) {
      const error = asStrifeError(thrown);
      if (!this.#stopping.aborted) this.#options.onFailure(error);
      return { kind: 'stuck', ended: false, isOffline: false, error };
    }
  }

  async #round(): Promise<RoundEnd> {
    const { store, port } = this.#options;
    const payer = this.#payer;
    const { logins } = this;
    const pending = await store.list({ payer, states: PENDING_STATES, limit: 1 });
    if (pending.length === 0 || !port.canPay(payer)) return { kind: 'drained' };
    try {
      await port.reach(this.#stopping);
    } catch (thrown) {
      return { kind: 'stuck', ended: false, isOffline: true, error: asStrifeError(thrown) };
    }
    const claim = await store.claim(payer);
    if (!claim) return { kind: 'elsewhere' };
    try {
      return await this.#deliver(logins);
    } finally {
      claim.release();
    }
  }

  /**
   * With the claim: one message, from before it is sent until its answers are written down.
   *
   * @param loginsBefore `logins` when the round began
   */
  async #deliver(loginsBefore: number): Promise<RoundEnd> {
    const { store, clock, batchItemsMax } = this.#options;
    let outgoing: readonly OutgoingPayment[] = [];
    const taken = await store.change({ payer: this.#payer, states: PENDING_STATES, limit: this.#batchItems }, (rows) => {
      const next = takeNext(rows, clock.unixMs());
      outgoing = next.outgoing;
      return next.changed;
    });
    if (taken.length === 0) return { kind: 'drained' };
    if (outgoing.length === 0) return { kind: 'progress' };

    const afterwards = await this.#send(outgoing);
    const settled = await store.change({ ids: outgoing.map(({ id }) => id) }, (rows) => rows.map(afterwards));
    const open = settled.filter((row) => !hasEnded(row));
    this.#batchItems = nextBatchItems(this.#batchItems, open.length === 0, batchItemsMax);
    if (open.length === 0) return { kind: 'progress' };
    if (this.isPaused) return this.#needsLogin();
    if (open.some(({ state }) => state === 'needs-login')) return this.logins === loginsBefore ? this.#needsLogin() : { kind: 'progress' };
    const { problem } = open[0]!;
    const error = problem && new StrifeError(problem.message, { code: problem.code, retryable: true, transferId: open[0]!.id });
    return { kind: 'stuck', ended: open.length < settled.length, isOffline: false, error };
  }

  /** Sends, and returns what that makes of each row. */
  async #send(outgoing: readonly OutgoingPayment[]): Promise<(row: QueueRow) => QueueRow> {
    const position = new Map(outgoing.map(({ id }, index) => [id, index]));
    let results: readonly SendResult[] = [];
    try {
      results = await this.#options.port.send(this.#payer, outgoing, this.#stopping);
    } catch (thrown) {
      const error = asStrifeError(thrown);
      if (error.outcome === 'not_applied') {
        return (row) => afterNoSend(row, !outgoing[position.get(row.id)!]!.earlierSendsAnswered, error);
      }
      results = outgoing.map(() => ({ ok: false, error }));
    }
    return (row) => afterSend(row, results[position.get(row.id)!], outgoing.length === 1);
  }

  /** All that the payer has pending waits, not only what was sent. */
  async #needsLogin(): Promise<RoundEnd> {
    this.isPaused = true;
    await this.#options.store.change({ payer: this.#payer, states: ['queued'] }, (rows) =>
      rows.map((row) => ({ ...row, state: 'needs-login' })),
    );
    // A login meanwhile has ended the pause.
    if (this.isPaused) this.#options.onNeedsLogin(this.#payer);
    return { kind: 'needs-login' };
  }
}

/** What broke in the background, as it is told. */
export function asStrifeError(thrown: unknown): StrifeError {
  if (thrown instanceof StrifeError) return thrown;
  return new StrifeError('the queue could not do its work', { code: 'INTERNAL', cause: thrown });
}
