// One bank's line: gathers legs to prepare and decisions to deliver, and sends them in self-clocked flights.
//
// An idle line sends at once; a busy one (FLIGHTS_MAX calls under way) gathers until a reply returns. No timers decide
// what is sent when; the only timer is the back-off after a flight that failed.

import { Acknowledgement } from '@strife/stubs/bank';
import type { DecideRequest, ParticipantServiceClient, PrepareRequest } from '@strife/stubs/bank';
import type { Clock, Decision, PrepareLeg, Silence, TransferId, Vote } from '@strife/two-phase-commit';
import { isOverloaded } from './call-failures.ts';
import { encodeDecision, encodeLeg, voteFrom } from './participant-wire.ts';

export interface BankLine {
  admit(): 'ready' | 'unreachable' | 'overloaded';
  prepare(leg: PrepareLeg, onVote: (vote: Vote | Silence) => void): void;
  decide(id: TransferId, decision: Decision, onAcknowledged: () => void): void;
  /** The bank can be reached through this client from now on, or, undefined, by nobody. Ends any back-off. */
  connect(client: ParticipantServiceClient | undefined): void;
  /** Decisions that the bank has not acknowledged. */
  undelivered(): number;
  close(): void;
}

export interface BankLineOptions {
  readonly logId: string;
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
/** How much longer than an attempt a call may take, so that the attempt ends by its own deadline and is called timed out. */
const PREPARE_GRACE_MS = 100;
const DECIDE_TIMEOUT_MS = 5000;
const BACK_OFF_MS = 50;
const BACK_OFF_MAX_MS = 1000;
const LEG_BYTES = 128;

interface WaitingLeg {
  readonly leg: PrepareLeg;
  readonly onVote: (vote: Vote | Silence) => void;
}

interface WaitingDecision {
  readonly id: TransferId;
  readonly decision: Decision;
  readonly onAcknowledged: () => void;
}

export function createBankLine(options: BankLineOptions): BankLine {
  const { logId, clock, prepareTimeoutMs, onTrouble, onRecovery, onRefused, random } = options;
  let client: ParticipantServiceClient | undefined;
  let legs: WaitingLeg[] = [];
  let decisions: WaitingDecision[] = [];
  let unacknowledged = 0;
  let flights = 0;
  let pumpScheduled = false;
  let backOffMs = 0;
  let cancelBackOff: (() => void) | undefined;
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

  function pump(): void {
    while (flights < FLIGHTS_MAX && !closed) {
      const legsNow = takeLegs();
      const decisionsNow = client !== undefined && cancelBackOff === undefined ? decisions.splice(0, FLIGHT_ITEMS_MAX) : [];
      if (legsNow.length === 0 && decisionsNow.length === 0) return;
      void fly(client, legsNow, decisionsNow);
    }
  }

  function takeLegs(): WaitingLeg[] {
    let count = 0;
    let bytes = 0;
    while (count < legs.length && count < FLIGHT_ITEMS_MAX && bytes < FLIGHT_BYTES_MAX) {
      bytes += LEG_BYTES + legs[count]!.leg.request.body.memo.length * 3;
      count += 1;
    }
    const nowMs = clock.nowMs();
    return legs.splice(0, count).filter(({ leg, onVote }) => {
      if (client !== undefined && leg.deadlineMs > nowMs) return true;
      onVote({ kind: 'unsent' });
      return false;
    });
  }

  async function fly(to: ParticipantServiceClient | undefined, legsNow: readonly WaitingLeg[], decisionsNow: WaitingDecision[]): Promise<void> {
    flights += 1;
    const sent = await Promise.all([
      legsNow.length === 0 || to === undefined ? true : flyLegs(to, legsNow),
      decisionsNow.length === 0 || to === undefined ? true : flyDecisions(to, decisionsNow),
    ]);
    flights -= 1;
    if (sent.includes(false)) backOff();
    else if (backOffMs > 0) recover();
    pump();
  }

  async function flyLegs(to: ParticipantServiceClient, batch: readonly WaitingLeg[]): Promise<boolean> {
    let votes: readonly (Vote | Silence)[];
    let arrived = true;
    try {
      const reply = await to.prepare(prepareRequest(batch), { signal: AbortSignal.timeout(prepareTimeoutMs + PREPARE_GRACE_MS) });
      votes = batch.map((_, index) => voteFrom(reply.votes[index]));
    } catch (error) {
      arrived = false;
      trouble(error);
      // A bank that says it is overloaded did nothing of the call; after any other failure it may have.
      const silence: Silence = { kind: isOverloaded(error) ? 'unsent' : 'unreachable' };
      votes = batch.map(() => silence);
    }
    batch.forEach(({ onVote }, index) => onVote(votes[index]!));
    return arrived;
  }

  async function flyDecisions(to: ParticipantServiceClient, batch: WaitingDecision[]): Promise<boolean> {
    try {
      const reply = await to.decide(decideRequest(batch), { signal: AbortSignal.timeout(DECIDE_TIMEOUT_MS) });
      const again = batch.filter((waiting, index) => !acknowledge(waiting, reply.acknowledgements[index]));
      decisions.push(...again);
      return again.length === 0;
    } catch (error) {
      trouble(error);
      decisions = batch.concat(decisions);
      return false;
    }
  }

  function acknowledge({ id, decision, onAcknowledged }: WaitingDecision, answer: Acknowledgement | undefined): boolean {
    if (answer === Acknowledgement.DONE) {
      unacknowledged -= 1;
      onAcknowledged();
      return true;
    }
    onRefused(id, decision);
    return false;
  }

  function trouble(error: unknown): void {
    if (backOffMs === 0) onTrouble(error);
  }

  function backOff(): void {
    backOffMs = Math.min(backOffMs === 0 ? BACK_OFF_MS : backOffMs * 2, BACK_OFF_MAX_MS);
    if (cancelBackOff !== undefined) return;
    cancelBackOff = clock.after(backOffMs * (0.5 + random() / 2), () => {
      cancelBackOff = undefined;
      pump();
    });
  }

  function recover(): void {
    backOffMs = 0;
    cancelBackOff?.();
    cancelBackOff = undefined;
    onRecovery();
  }

  function prepareRequest(batch: readonly WaitingLeg[]): PrepareRequest {
    const grantIndexes = new Map<string, number>();
    const encoded = batch.map(({ leg }) => {
      let grantIndex = 0;
      if (leg.side !== 'credit') {
        grantIndex = grantIndexes.get(leg.grant) ?? grantIndexes.size;
        grantIndexes.set(leg.grant, grantIndex);
      }
      return encodeLeg(leg, grantIndex);
    });
    return { logId, grants: [...grantIndexes.keys()], legs: encoded };
  }

  function decideRequest(batch: readonly WaitingDecision[]): DecideRequest {
    return { logId, decisions: batch.map(({ id, decision }) => encodeDecision(id, decision)) };
  }

  return {
    admit() {
      if (client === undefined || closed) return 'unreachable';
      return legs.length >= LEGS_WAITING_MAX ? 'overloaded' : 'ready';
    },
    prepare(leg, onVote) {
      legs.push({ leg, onVote });
      schedulePump();
    },
    decide(id, decision, onAcknowledged) {
      unacknowledged += 1;
      decisions.push({ id, decision, onAcknowledged });
      schedulePump();
    },
    connect(next) {
      client = next;
      cancelBackOff?.();
      cancelBackOff = undefined;
      if (client !== undefined) schedulePump();
    },
    undelivered: () => unacknowledged,
    close() {
      closed = true;
      cancelBackOff?.();
    },
  };
}
