// `strife audit --data-dir <dir>`

import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { AuditReport, Violation } from '@strife/storage';
import type { Context } from '../context.ts';
import { EXIT, type ExitCode } from '../exit-codes.ts';
import { UsageError } from '../failure.ts';
import { moneyText, printable } from '../format.ts';
import type { Colors } from '../output.ts';

/** Reads the stores of a local cluster and proves the protocol's invariants; a broken one is named with the ids involved. */
export async function audit({ output, settings }: Context): Promise<ExitCode> {
  const stores = findStores(settings.dataDir);
  const { auditStores } = await import('@strife/storage');
  const report = auditStores(stores);
  output.result({ audit: { ...report } }, () => auditText(report, output.colors));
  return report.ok ? EXIT.ok : EXIT.internal;
}

function findStores(dataDir: string | undefined): { banks: string[]; gateways: string[] } {
  if (dataDir === undefined) {
    throw new UsageError('data-dir: say where the stores are', {
      field: 'data-dir',
      hint: 'By --data-dir <dir>, STRIFE_DATA_DIR, or data_dir in a profile.',
    });
  }
  const files = listFiles(dataDir);
  const stores = {
    banks: files.filter((file) => /^bank-.+\.sqlite$/.test(file)).map((file) => join(dataDir, file)),
    gateways: files.filter((file) => /^gateway-.+\.sqlite$/.test(file)).map((file) => join(dataDir, file)),
  };
  if (stores.banks.length > 0) return stores;
  throw new UsageError(`data-dir: ${dataDir} has no stores of banks (bank-<name>.sqlite)`, { field: 'data-dir' });
}

function listFiles(directory: string): string[] {
  try {
    return readdirSync(directory).sort();
  } catch (cause) {
    throw new UsageError(`data-dir: ${directory} cannot be read`, { field: 'data-dir', cause });
  }
}

function auditText(report: AuditReport, colors: Colors): string {
  const { ok, banks, transfersChecked, inDoubt, violations, notAudited } = report;
  const unseen = [...notAudited.banks.map((bank) => `bank ${printable(bank)}`), ...notAudited.logs.map((log) => `decision log ${printable(log)}`)];
  const summary = `${transfersChecked} transfers checked, ${inDoubt} in doubt.`;
  const totals = banks.map(({ name, accounts, totals }) => `  ${name}: ${accounts} accounts; customers own ${totalsText(totals)}`);
  const verdict = ok
    ? `${colors.green('Clean:')} ${unseen.length === 0 ? 'money is conserved' : 'nothing is wrong in these stores'}. ${summary}`
    : `${colors.red('BROKEN:')} ${violations.length} kinds of violations. ${summary}`;
  const limits = unseen.length === 0 ? [] : [colors.red(`  NOT AUDITED, no store given: ${unseen.join(', ')}`)];
  return [verdict, ...totals, ...limits, ...violations.map(violationText)].join('\n');
}

function totalsText(totals: Readonly<Record<string, string>>): string {
  const amounts = Object.entries(totals).map(([currency, minorUnits]) => moneyText({ currency, minorUnits: BigInt(minorUnits) }));
  return amounts.join(', ') || 'nothing';
}

function violationText({ invariant, message, ids, count }: Violation): string {
  const rest = count > ids.length ? [`and ${count - ids.length} more`] : [];
  return [`  invariant ${invariant}: ${printable(message)}`, ...ids.map(printable), ...rest].join('\n    ');
}
