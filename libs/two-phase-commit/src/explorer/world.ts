// Everything that can happen in a small world, one move at a time, around the real machines.
//
// The network is the set of all messages ever sent: each may arrive at any time, any number of times, in any order, or
// never. A crash may come at any moment, any number of times; a process that is down is one that makes no moves.

import { banksOf } from '../protocol/vocabulary.ts';
import type { CoordinatorStep } from '../protocol/coordinator-machine.ts';
import type { LedgerEffect, LegState } from '../protocol/participant-machine.ts';
import type { BankName, DecisionRow, LogId, Reason, Silence, TransferRequest, Vote } from '../protocol/vocabulary.ts';
import { Alphabet, textOf, withLetter } from './alphabet.ts';
import type { Observation } from './invariants.ts';
import { describe } from './labels.ts';
import type { BankAnswer, BankOutcome, BankState, Books, GatewayState, LogState, Message, Move, Rules, World, WorldPlan, WorldState } from './model.ts';

const IDLE: GatewayState = {};
const REASON: Reason = 'declined';

export function createWorld(plan: WorldPlan, rules: Rules): World {
  return {
    plan,
    rules,
    logIds: [...new Set(plan.gateways.map(({ log }) => log))],
    requests: plan.bodies.map((body, index) => ({ id: 't1', fingerprint: `f${index + 1}`, body, createdAtMs: 0 })),
    messages: new Alphabet(),
    gatewayLetters: new Alphabet(),
    logLetters: new Alphabet(),
    booksLetters: new Alphabet(),
    toldLetters: new Alphabet(),
    bankSteps: new Map(),
  };
}

export function initialState(world: World): WorldState {
  const books = (bank: BankName): Books => {
    const fence = world.plan.fences?.[bank];
    const leg: LegState = fence === undefined ? { kind: 'absent' } : { kind: 'aborted', fingerprint: world.requests[0]?.fingerprint ?? '', attempt: fence };
    return { leg, held: 0, posted: 0, settled: 0 };
  };
  return {
    gateways: world.plan.gateways.map(() => IDLE),
    logs: world.logIds.map(() => ({ acknowledged: [] })),
    banks: [...new Set(world.plan.bodies.flatMap(banksOf))].map((name) => ({ name, books: books(name) })),
    network: '',
    requestsLeft: world.plan.requests.map(({ times }) => times),
    told: [],
  };
}

/** Two states with equal keys are the same state: they can go on in the same ways. */
export function keyOf(world: World, state: WorldState): string {
  let key = '';
  for (const gateway of state.gateways) key += world.gatewayLetters.letterOf(gateway);
  for (const log of state.logs) key += world.logLetters.letterOf(log);
  for (const { books } of state.banks) key += world.booksLetters.letterOf(books);
  key += world.toldLetters.letterOf(state.told);
  for (const left of state.requestsLeft) key += String.fromCharCode(left);
  return key + state.network + (state.alarm === undefined ? '' : `!${state.alarm}`);
}

/** What can be seen from outside the processes' memories. */
export function observe(world: World, state: WorldState): Observation {
  return {
    bodies: new Map(world.requests.map(({ fingerprint, body }) => [fingerprint, body])),
    rows: state.logs.map(({ row }, index) => ({ log: world.logIds[index] ?? '', row })),
    legs: state.banks.map(({ name, books }) => ({ bank: name, state: books.leg, held: books.held, posted: books.posted, settled: books.settled })),
    told: state.told,
  };
}

/** Every move that is possible in `state`; moves that change nothing are left out. */
export function movesOf(world: World, state: WorldState): Move[] {
  if (state.alarm !== undefined) return [];
  const moves: Move[] = [];
  for (const letter of state.network) moves.push(...arrivals(world, state, world.messages.valueOf(letter)));
  for (const index of state.gateways.keys()) moves.push(...gatewayMoves(world, state, index));
  for (const index of state.banks.keys()) moves.push(...bankMoves(world, state, index));
  for (const index of world.plan.requests.keys()) moves.push(...requestMoves(world, state, index));
  return moves.filter(({ next }) => next !== state).map((move) => ({ ...move, next: withoutDeafVotes(world, move.next) }));
}

/** A client's request, as a move that needs nothing left in the plan's count. */
export function beginAt(world: World, state: WorldState, gateway: number, request: TransferRequest): Move {
  const step = world.rules.beginTransfer(request, logOf(world, state, gateway).row);
  const label = (): string => `client -> ${gatewayName(world, gateway)} create ${request.fingerprint}`;
  return advanced(world, state, gateway, request, step, label, true);
}

/** The messages that a restarted gateway sends for a row that it finds undelivered. */
export function resumptions(world: World, row: DecisionRow, log: LogId): Message[] {
  const { send } = world.rules.resumeDelivery(row);
  return send.flatMap((message) => (message.kind === 'decide' ? [{ kind: 'decide', bank: message.bank, log, decision: message.decision }] : []));
}

/** What a bank asks about a leg that it holds. */
export function inquiriesAbout(world: World, bank: BankState['name'], leg: LegState): Message[] {
  if (leg.kind !== 'prepared' || !world.plan.inquiry) return [];
  return [{ kind: 'inquiry', bank, log: leg.log, attempt: leg.attempt, fingerprint: leg.fingerprint }];
}

/** Puts messages into the network. An acknowledgement is taken note of at once: the sooner, the less is sent again. */
export function post(world: World, state: WorldState, messages: readonly Message[]): WorldState {
  let { network, logs } = state;
  for (const message of messages) {
    if (message.kind === 'acknowledgement') logs = noted(world, logs, message);
    else network = withLetter(network, world.messages.letterOf(message));
  }
  return network === state.network && logs === state.logs ? state : { ...state, network, logs };
}

function noted(world: World, logs: readonly LogState[], { bank, log, decision }: Message & { kind: 'acknowledgement' }): readonly LogState[] {
  const index = world.logIds.indexOf(log);
  const about = logs[index];
  if (about?.row === undefined || about.acknowledged.includes(bank)) return logs;
  const wanted = resumptions(world, about.row, log).some((message) => message.kind === 'decide' && textOf(message.decision) === textOf(decision));
  return wanted ? logs.with(index, { ...about, acknowledged: [...about.acknowledged, bank].sort() }) : logs;
}

// Clients and gateways.

function requestMoves(world: World, state: WorldState, index: number): Move[] {
  const plan = world.plan.requests[index];
  const request = plan && world.requests[plan.body];
  const left = state.requestsLeft[index] ?? 0;
  // A request that comes while an attempt runs joins it, or is refused: the machine does not see it.
  if (plan === undefined || request === undefined || left === 0 || state.gateways[plan.gateway] !== IDLE) return [];
  const asked: WorldState = { ...state, requestsLeft: state.requestsLeft.with(index, left - 1) };
  const begun = beginAt(world, asked, plan.gateway, request);
  if (banksOf(request.body).length > 1 || begun.next.network === asked.network) return [begun];
  return [begun, ...hear(world, { ...begun.next, network: asked.network }, plan.gateway, { kind: 'unsent' }, banksOf(request.body)[0] ?? '', true)];
}

function gatewayMoves(world: World, state: WorldState, index: number): Move[] {
  const { running, writing } = state.gateways[index] ?? IDLE;
  if (running === undefined || running.kind === 'ended' || running.kind === 'delivering') return [];
  const name = gatewayName(world, index);
  const crash: Move = {
    label: () => `crash ${name}`, next: { ...state, gateways: state.gateways.with(index, IDLE) }, optional: true,
  };
  if (running.kind === 'deciding' && writing !== undefined) {
    const { row, state: written } = propose(world, state, logIndexOf(world, index), writing);
    const step = world.rules.stepCoordinator(running, { kind: 'decided', row });
    const label = (): string => `log ${world.plan.gateways[index]?.log} ${row === logOf(world, state, index).row ? 'keeps' : 'writes'} ${describe.row(row)}, asked by ${name} for ${describe.row(writing)}`;
    return [advanced(world, written, index, running.request, step, label, false), crash];
  }
  const step = world.rules.stepCoordinator(running, { kind: 'expired', attempt: running.attempt });
  return [advanced(world, state, index, running.request, step, () => `expire ${name} attempt ${running.attempt}`, true), crash];
}

/** The log's compare-and-set: what it holds after the proposal, and the world in which that is durable. */
function propose(world: World, state: WorldState, index: number, proposal: GatewayState['writing'] & object): { row: DecisionRow; state: WorldState } {
  const row = state.logs[index]?.row;
  const written: DecisionRow = { ...proposal, decidedAtMs: 0 };
  if (!world.rules.mayReplace(row, proposal)) {
    return row === undefined ? { row: written, state: { ...state, alarm: 'the log refuses a proposal and has no row to obey' } } : { row, state };
  }
  return { row: written, state: { ...state, logs: state.logs.with(index, { row: written, acknowledged: [] }) } };
}

function advanced(
  world: World, state: WorldState, gateway: number, request: TransferRequest, step: CoordinatorStep, label: () => string, optional: boolean,
): Move {
  const log = world.logIds[logIndexOf(world, gateway)] ?? '';
  const { fingerprint, body } = request;
  const before = state.gateways[gateway]?.running;
  const onePhase = banksOf(body).length === 1;
  const messages = step.send.map((message): Message => message.kind === 'prepare'
    ? { kind: 'prepare', bank: message.bank, log, attempt: message.attempt, fingerprint, onePhase }
    : { kind: 'decide', bank: message.bank, log, decision: message.decision });
  const busy = step.state.kind === 'preparing' || step.state.kind === 'deciding';
  const memory = busy ? { running: step.state, ...(step.persist && { writing: step.persist }) } : IDLE;
  let next = post(world, { ...state, gateways: state.gateways.with(gateway, memory) }, messages);
  const { reply } = step;
  if (reply?.kind === 'succeeded' || reply?.kind === 'declined') next = tell(next, { kind: reply.kind, fingerprint });
  if (reply?.kind === 'not-applied' && !onePhase && before !== undefined && 'attempt' in before) {
    next = tell(next, { kind: 'not-applied', fingerprint, log, attempt: before.attempt });
  }
  return { label: () => `${label()}${reply ? `; client hears ${reply.kind}` : ''}`, next, optional, ...(reply && { reply }) };
}

function tell(state: WorldState, news: WorldState['told'][number]): WorldState {
  const known = state.told.map(textOf);
  if (known.includes(textOf(news))) return state;
  return { ...state, told: [...state.told, news].sort((one, other) => (textOf(one) < textOf(other) ? -1 : 1)) };
}

// Messages on their way.

function arrivals(world: World, state: WorldState, message: Message): Move[] {
  switch (message.kind) {
    case 'prepare':
      return prepareArrives(world, state, message);
    case 'vote':
      return voteArrives(world, state, message);
    case 'decide':
      return decideArrives(world, state, message);
    case 'inquiry':
      return inquiryArrives(world, state, message);
    case 'acknowledgement':
      return [];
  }
}

function prepareArrives(world: World, state: WorldState, message: Message & { kind: 'prepare' }): Move[] {
  const { bank, log, attempt, fingerprint } = message;
  const may = world.plan.mayDecline.includes(bank) ? [undefined, REASON] : [undefined];
  return may.flatMap((reason) => {
    const outcome = once(world, state, message, reason ?? '', (books) => {
      let asked = false;
      const step = world.rules.stepPrepare(books.leg, message, () => {
        asked = true;
        return reason;
      });
      if (reason !== undefined && !asked) return undefined;
      const vote: Message = { kind: 'vote', bank, log, attempt, fingerprint, vote: step.vote };
      return { books: withEffect(world, bank, books, step.state, step.effect, fingerprint), answer: vote, said: describe.vote(step.vote) };
    });
    if (outcome === undefined || 'broken' in outcome || outcome.answer.kind !== 'vote') return [];
    return mustTravel(world, state, outcome)
      ? batch(world, state, message, outcome, reason !== undefined)
      : voteArrives(world, state, outcome.answer);
  });
}

/**
 * Whether a vote is kept in the network, to be heard later than it was given; all others are heard at once or lost.
 * A vote that changed nothing at the bank can be had again while the leg stays as it is, which is for ever when the leg
 * is final. BUSY, and FENCED up to the attempt, do what a timeout does, and a timeout may come at any moment. What
 * remains is a YES, and a FENCED that makes the gateway jump.
 */
function mustTravel(world: World, state: WorldState, { books, answer }: BankAnswer): boolean {
  const before = state.banks.find(({ name }) => name === answer.bank)?.books;
  if (answer.kind !== 'vote' || before === undefined || world.booksLetters.canonical(before) !== books) return true;
  return answer.vote.kind === 'yes' || (answer.vote.kind === 'fenced' && answer.vote.fence > answer.attempt);
}

/** A vote is heard by any gateway on its log that runs its attempt: more than a call's reply allows, so nothing is missed. */
function voteArrives(world: World, state: WorldState, message: Message & { kind: 'vote' }): Move[] {
  return [...state.gateways.keys()].flatMap((index) =>
    isAwaited(world, state, index, message) ? hear(world, state, index, message.vote, message.bank, false) : []);
}

function hear(world: World, state: WorldState, gateway: number, vote: Vote | Silence, bank: string, optional: boolean): Move[] {
  const running = state.gateways[gateway]?.running;
  if (running?.kind !== 'preparing') return [];
  const step = world.rules.stepCoordinator(running, { kind: 'vote', bank, attempt: running.attempt, vote });
  if (step.state === running) return [];
  const label = (): string => `deliver ${bank} -> ${gatewayName(world, gateway)} attempt ${running.attempt}: ${describe.vote(vote)}`;
  return [advanced(world, state, gateway, running.request, step, label, optional)];
}

function isAwaited(world: World, state: WorldState, gateway: number, { bank, log, attempt, fingerprint, vote }: Message & { kind: 'vote' }): boolean {
  const running = state.gateways[gateway]?.running;
  if (running?.kind !== 'preparing' || world.plan.gateways[gateway]?.log !== log) return false;
  if (running.attempt !== attempt || running.request.fingerprint !== fingerprint) return false;
  return vote.kind !== 'yes' || !running.prepared.includes(bank);
}

/**
 * Drops the votes that would change no gateway. A vote answers a call, and is lost with it when the caller crashes or
 * goes on; the Prepare may still arrive again, and is then answered anew.
 */
function withoutDeafVotes(world: World, state: WorldState): WorldState {
  let heard = state.network;
  for (const letter of state.network) {
    const message = world.messages.valueOf(letter);
    if (message.kind !== 'vote' || state.gateways.some((_, index) => isAwaited(world, state, index, message))) continue;
    heard = heard.replace(letter, '');
  }
  return heard === state.network ? state : { ...state, network: heard };
}

function decideArrives(world: World, state: WorldState, message: Message & { kind: 'decide' }): Move[] {
  const { bank, log, decision } = message;
  const outcome = once(world, state, message, '', (books) => {
    const step = world.rules.stepDecide(books.leg, log, decision);
    if (step.kind === 'broken') return { broken: `${bank} refuses: ${step.rule}` };
    const acknowledgement: Message = { kind: 'acknowledgement', bank, log, decision };
    return { books: withEffect(world, bank, books, step.state, step.effect, decision.fingerprint), answer: acknowledgement, said: 'acknowledged' };
  });
  if (outcome === undefined) return [];
  if (!('broken' in outcome)) return batch(world, state, message, outcome, false);
  return [{ label: () => `deliver ${describe.message(message)}`, next: { ...state, alarm: outcome.broken }, optional: false }];
}

function inquiryArrives(world: World, state: WorldState, message: Message & { kind: 'inquiry' }): Move[] {
  const { bank, log, attempt, fingerprint } = message;
  const index = world.logIds.indexOf(log);
  const request = world.requests.find((known) => known.fingerprint === fingerprint);
  if (request === undefined) return [];
  const inquiry = { ...request, attempt };
  // Where the attempt runs, the polite answer is PENDING, a move that changes nothing; the impolite one must be harmless.
  const runs = state.gateways.some(({ running }, gateway) =>
    running !== undefined && 'attempt' in running && running.attempt === attempt && world.plan.gateways[gateway]?.log === log);
  const first = world.rules.answerInquiry(state.logs[index]?.row, inquiry, false);
  let after = state;
  let answer = first;
  if (first.kind === 'write-first') {
    const { row, state: written } = propose(world, state, index, first.proposal);
    after = post(world, written, resumptions(world, row, log));
    answer = world.rules.answerInquiry(row, inquiry, false);
  }
  if (answer.kind === 'pending' || answer.kind === 'write-first') return [];
  const { kind: outcome, ...rest } = answer;
  const next = post(world, after, [{ kind: 'decide', bank, log, decision: { outcome, fingerprint, ...rest } }]);
  const label = (): string => `deliver ${describe.message(message)}: ${outcome}${first.kind === 'write-first' ? ', written first' : ''}`;
  return next.network === state.network && after === state ? [] : [{ label, next, optional: runs && first.kind === 'write-first' }];
}

// Banks.

/** A bank's step depends on its books and the message alone, so each is asked of the machine once. */
function once(
  world: World, state: WorldState, message: Message, variant: string, step: (books: Books) => BankOutcome | undefined,
): BankOutcome | undefined {
  const books = state.banks.find(({ name }) => name === ('bank' in message ? message.bank : ''))?.books;
  if (books === undefined) return undefined;
  const key = world.booksLetters.letterOf(books) + world.messages.letterOf(message) + variant;
  if (!world.bankSteps.has(key)) {
    const outcome = step(books);
    world.bankSteps.set(key, outcome && 'books' in outcome ? { ...outcome, books: world.booksLetters.canonical(outcome.books) } : outcome);
  }
  return world.bankSteps.get(key);
}

/**
 * A bank writes, then answers. A crash before the write leaves what was before, and nothing was sent, unless a rule
 * lets the answer out early; a crash after it is an answer that never arrives.
 */
function batch(world: World, state: WorldState, message: Message, { books, answer, said }: BankAnswer, optional: boolean): Move[] {
  const index = state.banks.findIndex(({ name }) => name === message.bank);
  const before = state.banks[index];
  if (before === undefined) return [];
  const label = (): string => `deliver ${describe.message(message)}: ${said}`;
  // A step that changes nothing has nothing to write.
  if (world.booksLetters.canonical(before.books) === books) return [{ label, next: post(world, state, [answer]), optional }];
  const written = { ...state, banks: state.banks.with(index, { name: message.bank, books }) };
  const moves: Move[] = [{ label, next: post(world, written, [answer, ...inquiriesAbout(world, message.bank, books.leg)]), optional }];
  if (world.rules.leavesEarly(answer)) {
    moves.push({ label: () => `${label()}; crash ${message.bank} before the write`, next: post(world, state, [answer]), optional: true });
  }
  return moves;
}

function withEffect(world: World, name: BankName, books: Books, leg: LegState, effect: LedgerEffect, asked: string): Books {
  const { held, posted, settled } = books;
  // A hold is for what the message asks; whatever comes later is for what was held.
  const fingerprint = effect === 'hold' || effect === 'apply' || books.leg.kind === 'absent' ? asked : books.leg.fingerprint;
  const body = world.requests.find((request) => request.fingerprint === fingerprint)?.body;
  const amount = Number(body?.amountMinor ?? 0n);
  switch (effect) {
    case 'none':
      return { ...books, leg };
    case 'hold':
      return { ...books, leg, held: held + amount };
    case 'release':
      return { ...books, leg, held: held - amount };
    case 'settle':
      return { leg, held: held - amount, posted: posted + (body?.from.bank === name ? -amount : amount), settled: settled + 1 };
    case 'apply':
      return { ...books, leg, settled: settled + 1 };
  }
}

function bankMoves(world: World, state: WorldState, index: number): Move[] {
  const bank = state.banks[index];
  if (bank === undefined) return [];
  const { name, books } = bank;
  const waited = world.rules.afterLongWait(books.leg);
  if (waited === books.leg) return [];
  const released: BankState = { name, books: withEffect(world, name, books, waited, 'release', '') };
  return [{ label: () => `${name} waits no longer and releases`, next: { ...state, banks: state.banks.with(index, released) }, optional: true }];
}

function logIndexOf(world: World, gateway: number): number {
  return world.logIds.indexOf(world.plan.gateways[gateway]?.log ?? '');
}

function logOf(world: World, state: WorldState, gateway: number): LogState {
  return state.logs[logIndexOf(world, gateway)] ?? { acknowledged: [] };
}

function gatewayName(world: World, gateway: number): string {
  return world.plan.gateways[gateway]?.name ?? '';
}
