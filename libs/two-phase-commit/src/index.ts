export { createCoordinator } from './coordinator.ts';
export type { Coordinator, CoordinatorOptions } from './coordinator.ts';
export type { Order, WaitFor } from './waiters.ts';
export { createParticipant, OverloadedError } from './participant.ts';
export type { DecideAnswer, DecideCommand, Participant, ParticipantOptions, PrepareCommand } from './participant.ts';
export { createBankLine } from './bank-line.ts';
export type { BankLine, BankLineOptions, BankPort, DecisionToDeliver, Flight, FlightAnswer } from './bank-line.ts';
export { createInquirer } from './inquirer.ts';
export type { Inquirer, InquirerOptions } from './inquirer.ts';
export { fingerprintOf, writeFingerprint } from './fingerprint.ts';
export { systemClock } from './system-clock.ts';
export { ATTEMPT_MAX, banksOf, decisionOf, differingField } from './protocol/vocabulary.ts';
export type {
  AccountName, BankName, Decision, DecisionRow, Fingerprint, LogId, Proposal, Reason, Silence, TransferBody, TransferId, TransferKey, TransferRequest,
  TransientReason, Verdict, Vote,
} from './protocol/vocabulary.ts';
export { answerInquiry, mayReplace } from './protocol/decision-rules.ts';
export type { Inquiry, InquiryAnswer } from './protocol/decision-rules.ts';
export { beginTransfer, resumeDelivery, stepCoordinator } from './protocol/coordinator-machine.ts';
export type { CoordinatorInput, CoordinatorMessage, CoordinatorState, CoordinatorStep, TransferResult } from './protocol/coordinator-machine.ts';
export { stepDecide, stepPrepare } from './protocol/participant-machine.ts';
export type { DecideStep, LedgerEffect, LegState, PrepareMessage, PrepareStep } from './protocol/participant-machine.ts';
export type {
  BankLink, Clock, DecisionLog, FinishedDelivery, LegBatch, LegRecord, LegTerms, PrepareLeg, Resource, Side,
} from './ports.ts';
