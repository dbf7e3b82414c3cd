// What a world is made of: its plan, its state, its messages, and the rules under test. Plain data, never changed in place.

import { answerInquiry, mayReplace } from '../protocol/decision-rules.ts';
import { beginTransfer, resumeDelivery, stepCoordinator } from '../protocol/coordinator-machine.ts';
import { stepDecide, stepPrepare } from '../protocol/participant-machine.ts';
import type { CoordinatorState, TransferResult } from '../protocol/coordinator-machine.ts';
import type { LegState } from '../protocol/participant-machine.ts';
import type {
  BankName, Decision, DecisionRow, Fingerprint, LogId, Proposal, TransferBody, TransferRequest, Vote,
} from '../protocol/vocabulary.ts';
import type { Alphabet } from './alphabet.ts';
import type { Told } from './invariants.ts';

/** One small world: everything in it is about a single transfer id. */
export interface WorldPlan {
  readonly name: string;
  /** One line for people. */
  readonly about: string;
  /** Gateways that name the same log share it. */
  readonly gateways: readonly { readonly name: string; readonly log: LogId }[];
  /** The bodies that clients send under the one id; more than one is a client's mistake. */
  readonly bodies: readonly TransferBody[];
  /** Fences that the first body's earlier attempts, through some other coordinator, left at these banks. */
  readonly fences?: Readonly<Record<BankName, number>>;
  /** How often which body may be asked of which gateway. The only thing in a world that is counted. */
  readonly requests: readonly { readonly gateway: number; readonly body: number; readonly times: number }[];
  /** Whether banks ask about the legs that they hold. */
  readonly inquiry: boolean;
  /** Banks that may decline a leg that they would newly hold. */
  readonly mayDecline: readonly BankName[];
}

export type Message =
  | {
      readonly kind: 'prepare'; readonly bank: BankName; readonly log: LogId; readonly attempt: number;
      readonly fingerprint: Fingerprint; readonly onePhase: boolean;
    }
  | {
      readonly kind: 'vote'; readonly bank: BankName; readonly log: LogId; readonly attempt: number;
      readonly fingerprint: Fingerprint; readonly vote: Vote;
    }
  | { readonly kind: 'decide'; readonly bank: BankName; readonly log: LogId; readonly decision: Decision }
  | { readonly kind: 'acknowledgement'; readonly bank: BankName; readonly log: LogId; readonly decision: Decision }
  | {
      readonly kind: 'inquiry'; readonly bank: BankName; readonly log: LogId; readonly attempt: number;
      readonly fingerprint: Fingerprint;
    };

/** A gateway's memory: all of it is lost in a crash. */
export interface GatewayState {
  /** The attempt that runs here, preparing or deciding. */
  readonly running?: CoordinatorState;
  /** What the log has been asked to write and has not answered. */
  readonly writing?: Proposal;
}

/** A decision log: all of it is durable. */
export interface LogState {
  readonly row?: DecisionRow;
  /** The banks whose acknowledgement of the row's decision has left them; with all of them the row is no longer re-sent. */
  readonly acknowledged: readonly BankName[];
}

/** What is durable at a bank: the leg, and its books as far as this transfer moves them. */
export interface Books {
  readonly leg: LegState;
  /** Promised and not yet settled or released, in minor units. */
  readonly held: number;
  /** The change of the customers' balances, in minor units. */
  readonly posted: number;
  /** How often the leg was settled. */
  readonly settled: number;
}

/** A bank keeps nothing in memory that matters: a crash loses the batch that is not yet written, and what it would have sent. */
export interface BankState {
  readonly name: BankName;
  readonly books: Books;
}

export interface WorldState {
  readonly gateways: readonly GatewayState[];
  readonly logs: readonly LogState[];
  readonly banks: readonly BankState[];
  /** Every message ever sent that may still arrive, once, often or never: a set, as a sorted string of letters. */
  readonly network: string;
  /** How many requests are left of each kind in the plan. */
  readonly requestsLeft: readonly number[];
  /** What clients have been told so far. */
  readonly told: readonly Told[];
  /** A machine refused what it was given as impossible. */
  readonly alarm?: string;
}

/** One thing that may happen next. */
export interface Move {
  /** Says it in words; asked only when a trace is printed. */
  readonly label: () => string;
  readonly next: WorldState;
  /** Not something that must happen in the end: a crash, a timeout, a decline, a new request. */
  readonly optional: boolean;
  readonly reply?: TransferResult;
}

/** The machines, and what the programs around them promise. The explorer's specs replace one at a time. */
export interface Rules {
  readonly beginTransfer: typeof beginTransfer;
  readonly resumeDelivery: typeof resumeDelivery;
  readonly stepCoordinator: typeof stepCoordinator;
  readonly mayReplace: typeof mayReplace;
  readonly answerInquiry: typeof answerInquiry;
  readonly stepPrepare: typeof stepPrepare;
  readonly stepDecide: typeof stepDecide;
  /** Whether a bank sends this before the write that it speaks of is durable: never. */
  readonly leavesEarly: (message: Message) => boolean;
  /** What a bank makes of a leg after a long wait without an answer: nothing, however long. */
  readonly afterLongWait: (leg: LegState) => LegState;
}

export const REAL_RULES: Rules = {
  beginTransfer, resumeDelivery, stepCoordinator, mayReplace, answerInquiry, stepPrepare, stepDecide,
  leavesEarly: () => false,
  afterLongWait: (leg) => leg,
};

/** What one message does at one bank. */
export interface BankAnswer {
  readonly books: Books;
  readonly answer: Message;
  /** The answer in words. */
  readonly said: string;
}

export type BankOutcome = BankAnswer | { readonly broken: string };

/** A plan with its rules and its letters. */
export interface World {
  readonly plan: WorldPlan;
  readonly rules: Rules;
  readonly logIds: readonly LogId[];
  /** One for each body of the plan. */
  readonly requests: readonly TransferRequest[];
  readonly messages: Alphabet<Message>;
  readonly gatewayLetters: Alphabet<GatewayState>;
  readonly logLetters: Alphabet<LogState>;
  readonly booksLetters: Alphabet<Books>;
  readonly toldLetters: Alphabet<readonly Told[]>;
  /** What the participant machine has been asked already, by books and message. */
  readonly bankSteps: Map<string, BankOutcome | undefined>;
}
