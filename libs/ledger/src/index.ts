export {
  AMOUNT_MINOR_MAX, AMOUNT_TEXT_MAX, BALANCE_MINOR_MAX, MoneyError, checkTransferAmount, currencyDigits, formatAmount, isCurrency, money,
  parseAmount,
} from './money.ts';
export type { Money, MoneyErrorCode } from './money.ts';
export { available } from './account.ts';
export type { Account } from './account.ts';
export { LedgerInvariantError, applyInside, deposit, hold, mayCredit, mayDebit, release, settleCredit, settleDebit } from './ledger.ts';
export type { DeclineReason, Entry, Movement, Pair } from './ledger.ts';
