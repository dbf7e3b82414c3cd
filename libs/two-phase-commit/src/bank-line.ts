// One bank's line: gathers legs to prepare and decisions to deliver, and sends them in self-clocked flights.
//
// An idle line sends at once; a busy one (FLIGHTS_MAX flights under way) gathers until a reply returns. A flight is one message, with all that
// waits. Timers are only for decisions: those that nobody waits for give the next legs a moment to take them along, those that did not
// arrive back off, and those that the bank refuses are set aside for long.

import { OverloadedError } from './participant.ts';
import type { DecideAnswer } from './participant.ts';
import type { Clock, Haste, PrepareLeg } from './ports.ts';
import type { Decision, Silence, TransferId, TransferRequest, Vote } from './protocol/vocabulary.ts';

/** What one message carries. At least one of the two is not empty. */
export interface Flight {
  readonly legs: readonly { readonly leg: PrepareLeg }[];
  readonly decisions: readonly DecisionToDeliver[];
}

export interface FlightAnswer {
  /** In the order of the legs; silence for those that cannot be read. */
  readonly votes: readonly (Vote | Silence)[];
  /** What the bank says, in the order of the decisions; undefined for those that it says nothing clear about. */
  readonly answers: readonly (DecideAnswer | undefined)[];
}

/** One way to call a bank. */
export interface BankPort {
  /** Sent at most once. Rejects after `timeoutMs` at the latest, and with `OverloadedError` when the bank did nothing about any of the legs. */
  send(flight: Flight, timeoutMs: number): Promise<FlightAnswer>;
}

export interface DecisionToDeliver {
  readonly request: TransferRequest;
  readonly decision: Decision;
}

export interface BankLine {
  admit(): 'ready' | 'unreachable' | 'overloaded';
  /** As in BankLink. */
  prepare<Leg extends PrepareLeg>(leg: Leg, onVote: (leg: Leg, vote: Vote | Silence) => void): void;
  /** As in BankLink. */
  decide<Request extends TransferRequest>(
    request: Request, decision: Decision, haste: Haste, onAcknowledged: (request: Request, decision: Decision) => void,
  ): void;
  /** The bank can be reached through this port from now on, or, undefined, by nobody. Ends any back-off. */
  connect(port: BankPort | undefined): void;
  /** Sends once more what can be sent, and nothing after it. Resolves when the flights under way have ended, or a second later. */
  close(): Promise<void>;
}

export interface BankLineOptions {
  readonly clock: Clock;
  readonly prepareTimeoutMs: number;
  /** Told of the first failure of a streak, and of the recovery after it. */
  readonly onTrouble: (error: unknown) => void;
  readonly onRecovery: () => void;
  /** The bank says that a decision contradicts its log. */
  readonly onRefused: (id: TransferId, decision: Decision) => void;
  /** Between 0 and 1, for the jitter of the back-off. */
  readonly random: () => number;
}

const FLIGHTS_MAX = 2;
const FLIGHT_ITEMS_MAX = 2000;
const FLIGHT_BYTES_MAX = 4 * 1024 * 1024;
/** The most legs that wait for a flight; over it new transfers are refused before anything is sent. */
const LEGS_WAITING_MAX = 50_000;
/** The most decisions that a bank may leave unacknowledged before new transfers with it are refused. */
const DECISIONS_WAITING_MAX = 100_000;
/** How long a decision that the bank refused waits before it is sent again: only a person can end that. */
const REFUSED_AGAIN_MS = 30_000;
/** How much longer than an attempt a call may take, so that the attempt ends by its own deadline and is called timed out. */
const PREPARE_GRACE_MS = 100;
const DECIDE_TIMEOUT_MS = 5000;
const CLOSE_WAIT_MS = 1000;
const BACK_OFF_MS = 50;
const BACK_OFF_MAX_MS = 1000;
const LEG_BYTES = 128;
/** How long a decision that nobody waits for may wait for a flight of legs. */
const DECISION_PAUSE_MS = 10;

interface WaitingLeg<Leg extends PrepareLeg = PrepareLeg> {
  readonly leg: Leg;
  /** Called with this very leg. */
  onVote(leg: Leg, vote: Vote | Silence): void;
}

interface WaitingDecision<Request extends TransferRequest = TransferRequest> extends DecisionToDeliver {
  readonly request: Request;
  /** Called with this very request. */
  onAcknowledged(request: Request, decision: Decision): void;
  /** The alarm about its refusal was raised. */
  readonly alarmed: boolean;
}

const UNSENT: Silence = { kind: 'unsent' };
const UNREACHABLE: Silence = { kind: 'unreachable' };

export function createBankLine(options: BankLineOptions): BankLine {
  const { clock, prepareTimeoutMs, onTrouble, onRecovery, onRefused, random } = options;
  let port: BankPort | undefined;
  let legs: WaitingLeg[] = [];
  let decisions: WaitingDecision[] = [];
  let unacknowledged = 0;
  let flights = 0;
  let pumpScheduled = false;
  let backOffMs = 0;
  let troubled = false;
  let cancelBackOff: (() => void) | undefined;
  let cancelPause: (() => void) | undefined;
  let onLanded: (() => void) | undefined;
  let closed = false;

  /** At the end of the current turn, so that everything that comes up together flies together. */
  function schedulePump(): void {
    if (pumpScheduled) return;
    pumpScheduled = true;
    queueMicrotask(() => {
      pumpScheduled = false;
      pump();
    });
  }

  function pause(): void {
    cancelPause ??= clock.after(DECISION_PAUSE_MS, () => {
      cancelPause = undefined;
      pump();
    });
  }

  /** Those that come next get a pause of their own, and do not fly alone when that of others ends. */
  function endPause(): void {
    cancelPause?.();
    cancelPause = undefined;
  }

  function pump(): void {
    while (flights < FLIGHTS_MAX && !closed) {
      const legsWaiting = legs.length;
      const legsNow = takeLegs();
      const decisionsNow = port !== undefined && cancelBackOff === undefined ? decisions.splice(0, FLIGHT_ITEMS_MAX) : [];
      if (decisions.length === 0) endPause();
      if (legsNow.length === 0 && decisionsNow.length === 0) {
        // All that were taken had run out of time; those behind them may not have.
        if (legs.length > 0 && legs.length < legsWaiting) continue;
        return;
      }
      void fly(port!, legsNow, decisionsNow);
    }
  }

  function takeLegs(): WaitingLeg[] {
    let count = 0;
    let bytes = 0;
    while (count < legs.length && count < FLIGHT_ITEMS_MAX && bytes < FLIGHT_BYTES_MAX) {
      bytes += LEG_BYTES + legs[count]!.leg.request.body.memo.length * 3;
      count += 1;
    }
    const taken = legs.splice(0, count);
    const flyAfterMs = port === undefined ? Infinity : clock.nowMs();
    const canFly = ({ leg }: WaitingLeg): boolean => leg.deadlineMs > flyAfterMs;
    if (taken.every(canFly)) return taken;
    for (const waiting of taken) if (!canFly(waiting)) tell(waiting, UNSENT);
    return taken.filter(canFly);
  }

  async function fly(to: BankPort, legsNow: readonly WaitingLeg[], decisionsNow: WaitingDecision[]): Promise<void> {
    flights += 1;
    await call(to, legsNow, decisionsNow);
    flights -= 1;
    pump();
    if (flights === 0) onLanded?.();
  }

  async function call(to: BankPort, legsNow: readonly WaitingLeg[], decisionsNow: readonly WaitingDecision[]): Promise<void> {
    const timeoutMs = legsNow.length > 0 ? prepareTimeoutMs + PREPARE_GRACE_MS : DECIDE_TIMEOUT_MS;
    let answer: FlightAnswer;
    try {
      answer = await to.send({ legs: legsNow, decisions: decisionsNow }, timeoutMs);
    } catch (error) {
      trouble(error);
      // A bank that says it is overloaded did nothing about the legs; after any other failure it may have.
      const silence = error instanceof OverloadedError ? UNSENT : UNREACHABLE;
      for (const waiting of legsNow) tell(waiting, silence);
      if (decisionsNow.length > 0) again(decisionsNow);
      return;
    }
    for (let index = 0; index < legsNow.length; index += 1) tell(legsNow[index]!, answer.votes[index]!);
    const unheard: WaitingDecision[] = [];
    for (let index = 0; index < decisionsNow.length; index += 1) {
      const waiting = decisionsNow[index]!;
      if (!settle(waiting, answer.answers[index])) unheard.push(waiting);
    }
    if (unheard.length > 0) {
      trouble(new Error(`${unheard.length} of ${decisionsNow.length} decisions were not acknowledged`));
      again(unheard);
      return;
    }
    if (decisionsNow.length > 0) endBackOff();
    answered();
  }

  function again(unheard: readonly WaitingDecision[]): void {
    decisions = unheard.concat(decisions);
    backOff();
  }

  /** Whether the bank said what it makes of the decision. */
  function settle(waiting: WaitingDecision, answer: DecideAnswer | undefined): boolean {
    if (answer === undefined) return false;
    if (answer === 'refused') {
      setAside(waiting);
      return true;
    }
    unacknowledged -= 1;
    waiting.onAcknowledged(waiting.request, waiting.decision);
    return true;
  }

  /** A decision against what the bank made durable would be refused again and again: it must not hold up the others. */
  function setAside(waiting: WaitingDecision): void {
    if (!waiting.alarmed) onRefused(waiting.request.id, waiting.decision);
    clock.after(REFUSED_AGAIN_MS, () => {
      decisions.push({ ...waiting, alarmed: true });
      schedulePump();
    });
  }

  function trouble(error: unknown): void {
    if (!troubled) onTrouble(error);
    troubled = true;
  }

  function answered(): void {
    if (troubled) onRecovery();
    troubled = false;
  }

  function backOff(): void {
    backOffMs = Math.min(backOffMs === 0 ? BACK_OFF_MS : backOffMs * 2, BACK_OFF_MAX_MS);
    if (cancelBackOff !== undefined) return;
    cancelBackOff = clock.after(backOffMs * (0.5 + random() / 2), () => {
      cancelBackOff = undefined;
      pump();
    });
  }

  function endBackOff(): void {
    backOffMs = 0;
    cancelBackOff?.();
    cancelBackOff = undefined;
  }

  return {
    admit() {
      if (port === undefined || closed) return 'unreachable';
      return legs.length >= LEGS_WAITING_MAX || unacknowledged >= DECISIONS_WAITING_MAX ? 'overloaded' : 'ready';
    },
    prepare(leg, onVote) {
      const waiting: WaitingLeg<typeof leg> = { leg, onVote };
      legs.push(waiting);
      schedulePump();
    },
    decide(request, decision, haste, onAcknowledged) {
      unacknowledged += 1;
      const waiting: WaitingDecision<typeof request> = { request, decision, onAcknowledged, alarmed: false };
      decisions.push(waiting);
      if (haste === 'now') schedulePump();
      else pause();
    },
    connect(next) {
      port = next;
      endBackOff();
      if (port !== undefined) schedulePump();
    },
    close() {
      pump();
      closed = true;
      cancelBackOff?.();
      endPause();
      return new Promise((resolve) => {
        if (flights === 0) return resolve();
        const giveUp = clock.after(CLOSE_WAIT_MS, resolve);
        onLanded = () => {
          giveUp();
          resolve();
        };
      });
    },
  };
}

function tell(waiting: WaitingLeg, vote: Vote | Silence): void {
  waiting.onVote(waiting.leg, vote);
}
