// What banks and gateways have made durable about one transfer, read from outside while they run or after they died.

import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

export type LegKind = 'absent' | 'prepared' | 'committed' | 'aborted' | 'declined';
export type DecisionKind = 'absent' | 'committed' | 'declined' | 'aborted';

/** As the stores number them: for ever, so a copy cannot grow old. */
const LEG_KINDS: readonly LegKind[] = ['prepared', 'committed', 'aborted', 'declined'];
const DECISION_KINDS: readonly DecisionKind[] = ['committed', 'declined', 'aborted'];

export interface StoreView {
  leg(bank: string, id: string): LegKind;
  decision(gateway: string, id: string): DecisionKind;
  /** Legs in doubt at a bank. */
  prepared(bank: string): number;
}

/** Opens and closes the store for each look, so that it is never in its owner's way for long. */
export function viewStores(dataDirectory: string): StoreView {
  const bankFile = (bank: string): string => join(dataDirectory, `bank-${bank}.sqlite`);
  return {
    leg: (bank, id) => LEG_KINDS[numberFrom(bankFile(bank), 'SELECT state FROM all_legs WHERE id = ?', blobOf(id)) ?? -1] ?? 'absent',
    decision: (gateway, id) =>
      DECISION_KINDS[numberFrom(join(dataDirectory, `gateway-${gateway}.sqlite`), 'SELECT outcome FROM decisions WHERE id = ?', blobOf(id)) ?? -1] ?? 'absent',
    prepared: (bank) => numberFrom(bankFile(bank), 'SELECT count(*) FROM all_legs WHERE state = 0') ?? 0,
  };
}

/** The name of a gateway's decision log. */
export function logIdOf(dataDirectory: string, gateway: string): string {
  const database = new DatabaseSync(join(dataDirectory, `gateway-${gateway}.sqlite`), { readOnly: true, timeout: 5000 });
  try {
    return String(database.prepare('SELECT name FROM identity').get()?.['name']);
  } finally {
    database.close();
  }
}

/** A transfer id as the stores keep it. */
function blobOf(id: string): Buffer {
  return Buffer.from(id.replaceAll('-', ''), 'hex');
}

function numberFrom(file: string, sql: string, ...values: Buffer[]): number | undefined {
  const database = new DatabaseSync(file, { readOnly: true, timeout: 5000 });
  try {
    const statement = database.prepare(sql);
    statement.setReturnArrays(true);
    const row = statement.get(...values) as unknown as [number] | undefined;
    return row?.[0];
  } finally {
    database.close();
  }
}
