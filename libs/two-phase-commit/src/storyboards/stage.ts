// Gateways, logs, banks and clients around the real machines, for one storyboard. Nothing happens by itself: a message
// waits in the network until the storyboard delivers or drops it.

import { fingerprintOf } from '../fingerprint.ts';
import { beginTransfer, resumeDelivery, stepCoordinator } from '../protocol/coordinator-machine.ts';
import type { CoordinatorInput, CoordinatorState, CoordinatorStep, TransferResult } from '../protocol/coordinator-machine.ts';
import { answerInquiry, mayReplace } from '../protocol/decision-rules.ts';
import { stepDecide, stepPrepare } from '../protocol/participant-machine.ts';
import type { LedgerEffect, LegState } from '../protocol/participant-machine.ts';
import type {
  BankName, Decision, DecisionRow, LogId, Proposal, Reason, Silence, TransferBody, TransferId, TransferRequest, Vote,
} from '../protocol/vocabulary.ts';
import { banksOf, differingField } from '../protocol/vocabulary.ts';

export type Parcel =
  | { readonly kind: 'prepare'; readonly request: TransferRequest; readonly attempt: number }
  | { readonly kind: 'vote'; readonly id: TransferId; readonly attempt: number; readonly vote: Vote }
  | { readonly kind: 'decide'; readonly id: TransferId; readonly log: LogId; readonly decision: Decision }
  | { readonly kind: 'acknowledgement'; readonly id: TransferId; readonly decision: Decision }
  | { readonly kind: 'inquiry'; readonly request: TransferRequest; readonly attempt: number };

export interface Envelope {
  readonly from: string;
  readonly to: string;
  readonly parcel: Parcel;
}

interface Log {
  readonly rows: Map<TransferId, DecisionRow>;
  readonly finished: Set<TransferId>;
}

interface Gateway {
  readonly log: LogId;
  up: boolean;
  readonly running: Map<TransferId, CoordinatorState>;
  deliveries: { id: TransferId; state: CoordinatorState }[];
}

interface Leg {
  readonly state: LegState;
  readonly request?: TransferRequest;
}

interface Bank {
  up: boolean;
  readonly legs: Map<TransferId, Leg>;
  held: bigint;
  posted: bigint;
}

const ABSENT: Leg = { state: { kind: 'absent' } };

export class Stage {
  readonly logs = new Map<LogId, Log>();
  readonly gateways = new Map<string, Gateway>();
  readonly banks = new Map<BankName, Bank>();
  /** In the order of sending. */
  readonly network: Envelope[] = [];
  /** The last answer about each id. */
  readonly heard = new Map<TransferId, TransferResult>();

  addGateway(name: string, log: LogId): void {
    this.gateways.set(name, { log, up: true, running: new Map(), deliveries: [] });
    if (!this.logs.has(log)) this.logs.set(log, { rows: new Map(), finished: new Set() });
  }

  addBank(name: BankName): void {
    this.banks.set(name, { up: true, legs: new Map(), held: 0n, posted: 0n });
  }

  create(gateway: string, id: TransferId, body: TransferBody): void {
    const { running, log } = this.gatewayUp(gateway);
    if (running.has(id)) throw new Error(`${gateway} runs ${id} already: such a request joins, without the machine`);
    this.heard.delete(id);
    const request = { id, fingerprint: fingerprintOf(body), body, createdAtMs: 0 };
    this.advance(gateway, request, beginTransfer(request, this.log(log).rows.get(id)));
  }

  expire(gateway: string, id: TransferId): void {
    const state = this.gatewayUp(gateway).running.get(id);
    if (state?.kind !== 'preparing') throw new Error(`${gateway} does not prepare ${id}`);
    this.input(gateway, id, { kind: 'expired', attempt: state.attempt });
  }

  /** What a call that failed, or was never made, tells the gateway. */
  silence(gateway: string, bank: BankName, id: TransferId, kind: Silence['kind']): void {
    const state = this.gatewayUp(gateway).running.get(id);
    if (state?.kind !== 'preparing') throw new Error(`${gateway} does not prepare ${id}`);
    this.input(gateway, id, { kind: 'vote', bank, attempt: state.attempt, vote: { kind } });
  }

  /** Delivers one message; a bank asked for a new hold declines it when `reason` is given. */
  deliver({ from, to, parcel }: Envelope, reason?: Reason): void {
    switch (parcel.kind) {
      case 'prepare':
        return this.prepare(to, from, parcel, reason);
      case 'decide':
        return this.decide(to, from, parcel);
      case 'vote':
        return this.input(to, parcel.id, { kind: 'vote', bank: from, attempt: parcel.attempt, vote: parcel.vote });
      case 'acknowledgement':
        return this.acknowledged(to, from, parcel);
      case 'inquiry':
        return this.inquiry(to, from, parcel);
    }
  }

  inquire(bank: BankName, gateway: string, id: TransferId): void {
    const { state, request } = this.leg(bank, id);
    if (state.kind !== 'prepared' || request === undefined) throw new Error(`${bank} holds nothing of ${id}`);
    this.network.push({ from: bank, to: gateway, parcel: { kind: 'inquiry', request, attempt: state.attempt } });
  }

  /** A gateway loses its memory; whatever a program had not sent is lost. Messages on their way stay there. */
  crash(name: string): void {
    const gateway = this.gateways.get(name);
    (gateway ?? this.bank(name)).up = false;
    gateway?.running.clear();
    if (gateway !== undefined) gateway.deliveries = [];
  }

  restart(name: string): void {
    const gateway = this.gateways.get(name);
    (gateway ?? this.bank(name)).up = true;
    if (gateway === undefined) return;
    const { rows, finished } = this.log(gateway.log);
    for (const [id, row] of rows) if (!finished.has(id)) this.advance(name, row, resumeDelivery(row));
  }

  leg(bank: BankName, id: TransferId): Leg {
    return this.bank(bank).legs.get(id) ?? ABSENT;
  }

  log(log: LogId): Log {
    return found(this.logs, log);
  }

  bank(name: BankName): Bank {
    return found(this.banks, name);
  }

  private gatewayUp(name: string): Gateway {
    const gateway = found(this.gateways, name);
    if (!gateway.up) throw new Error(`${name} is down`);
    return gateway;
  }

  private bankUp(name: BankName): Bank {
    const bank = this.bank(name);
    if (!bank.up) throw new Error(`${name} is down`);
    return bank;
  }

  private input(gateway: string, id: TransferId, input: CoordinatorInput): void {
    const state = this.gatewayUp(gateway).running.get(id);
    if (state === undefined || !('request' in state)) return;
    this.advance(gateway, state.request, stepCoordinator(state, input));
  }

  /** Carries out one step: first what must be durable, then what is sent and said. */
  private advance(name: string, request: TransferRequest, step: CoordinatorStep): void {
    const gateway = this.gatewayUp(name);
    const { id } = request;
    if (step.state.kind === 'preparing' || step.state.kind === 'deciding') gateway.running.set(id, step.state);
    else gateway.running.delete(id);
    if (step.state.kind === 'delivering') gateway.deliveries.push({ id, state: step.state });
    if (step.persist !== undefined) return this.input(name, id, { kind: 'decided', row: this.write(gateway.log, step.persist) });
    for (const message of step.send) {
      const parcel: Parcel = message.kind === 'prepare'
        ? { kind: 'prepare', request, attempt: message.attempt }
        : { kind: 'decide', id, log: gateway.log, decision: message.decision };
      this.network.push({ from: name, to: message.bank, parcel });
    }
    if (step.reply !== undefined) this.heard.set(id, step.reply);
  }

  private write(log: LogId, proposal: Proposal): DecisionRow {
    const { rows, finished } = this.log(log);
    const row = rows.get(proposal.id);
    if (row !== undefined && !mayReplace(row, proposal)) return row;
    const written = { ...proposal, decidedAtMs: 0 };
    rows.set(proposal.id, written);
    finished.delete(proposal.id);
    return written;
  }

  private acknowledged(name: string, bank: BankName, { id, decision }: Parcel & { kind: 'acknowledgement' }): void {
    const gateway = this.gatewayUp(name);
    for (const delivery of gateway.deliveries) {
      if (delivery.id !== id || delivery.state.kind !== 'delivering' || delivery.state.decision.fingerprint !== decision.fingerprint) continue;
      const step = stepCoordinator(delivery.state, { kind: 'acknowledged', bank, attempt: decision.attempt });
      delivery.state = step.state;
      const { rows, finished } = this.log(gateway.log);
      if (step.finished !== undefined && rows.get(id)?.attempt === step.finished) finished.add(id);
    }
    gateway.deliveries = gateway.deliveries.filter(({ state }) => state.kind === 'delivering');
  }

  private inquiry(name: string, bank: BankName, { request, attempt }: Parcel & { kind: 'inquiry' }): void {
    const gateway = this.gatewayUp(name);
    const inquiry = { ...request, attempt };
    let answer = answerInquiry(this.log(gateway.log).rows.get(request.id), inquiry, gateway.running.has(request.id));
    if (answer.kind === 'write-first') answer = answerInquiry(this.write(gateway.log, answer.proposal), inquiry, false);
    if (answer.kind === 'pending' || answer.kind === 'write-first') return;
    const { kind: outcome, ...rest } = answer;
    const decision = { outcome, fingerprint: request.fingerprint, ...rest };
    this.network.push({ from: name, to: bank, parcel: { kind: 'decide', id: request.id, log: gateway.log, decision } });
  }

  private prepare(bank: BankName, gateway: string, { request, attempt }: Parcel & { kind: 'prepare' }, reason?: Reason): void {
    const { legs } = this.bankUp(bank);
    const leg = this.leg(bank, request.id);
    const { log } = found(this.gateways, gateway);
    const onePhase = banksOf(request.body).length === 1;
    const step = stepPrepare(leg.state, { log, attempt, fingerprint: request.fingerprint, onePhase }, () => reason);
    legs.set(request.id, { state: step.state, request: leg.request ?? request });
    this.book(bank, request.id, step.effect);
    const field = leg.request === undefined ? '' : (differingField(leg.request.body, request.body) ?? '');
    const vote: Vote = step.vote.kind === 'mismatch' ? { kind: 'mismatch', field } : step.vote;
    this.network.push({ from: bank, to: gateway, parcel: { kind: 'vote', id: request.id, attempt, vote } });
  }

  private decide(bank: BankName, gateway: string, { id, log, decision }: Parcel & { kind: 'decide' }): void {
    const { legs } = this.bankUp(bank);
    const leg = this.leg(bank, id);
    const step = stepDecide(leg.state, log, decision);
    if (step.kind === 'broken') throw new Error(`${bank} refuses: ${step.rule}`);
    legs.set(id, { ...leg, state: step.state });
    this.book(bank, id, step.effect);
    this.network.push({ from: bank, to: gateway, parcel: { kind: 'acknowledgement', id, decision } });
  }

  private book(name: BankName, id: TransferId, effect: LedgerEffect): void {
    const bank = this.bank(name);
    const body = bank.legs.get(id)?.request?.body;
    if (body === undefined) return;
    const pays = body.from.bank === name;
    const amount = body.amountMinor;
    if (pays && effect === 'hold') bank.held += amount;
    if (pays && (effect === 'release' || effect === 'settle')) bank.held -= amount;
    if (effect === 'settle') bank.posted += pays ? -amount : amount;
  }
}

function found<Value>(map: ReadonlyMap<string, Value>, name: string): Value {
  const value = map.get(name);
  if (value === undefined) throw new Error(`nothing is named ${name}`);
  return value;
}
