export { decisionLogContract } from '../contract/decision-log-contract.ts';
export { ledgerStoreContract } from '../contract/ledger-store-contract.ts';
