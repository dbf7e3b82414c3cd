// Reads a storyboard and plays it on a stage, line by line. A line that is not understood, cannot happen, or expects what
// is not so ends it with an error that begins with `file:line`. README.md lists the commands.

import type { TransferResult } from '../protocol/coordinator-machine.ts';
import type { LegState } from '../protocol/participant-machine.ts';
import type { AccountName, DecisionRow } from '../protocol/vocabulary.ts';
import type { Envelope } from './stage.ts';
import { Stage } from './stage.ts';

/**
 * Plays a storyboard to its end.
 *
 * @throws Error at the first line that fails, named as `file:line`.
 */
export function play(file: string, text: string): Stage {
  const stage = new Stage();
  for (const [index, line] of text.split('\n').entries()) {
    const command = line.replace(/#.*/, '').trim().replace(/\s+/g, ' ');
    if (command === '') continue;
    try {
      perform(stage, command);
    } catch (error) {
      throw new Error(`${file}:${index + 1}: ${command}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
    }
  }
  return stage;
}

type Command = readonly [pattern: RegExp, perform: (stage: Stage, ...words: string[]) => void];

const COMMANDS: readonly Command[] = [
  [/^gateway (\S+) log (\S+)$/, (stage, name, log) => stage.addGateway(word(name), word(log))],
  [/^bank (\S+)$/, (stage, name) => stage.addBank(word(name))],
  [/^client -> (\S+) create (\S+) (\S+) -> (\S+) (\d+)$/, (stage, gateway, id, from, to, amount) => {
    stage.create(word(gateway), word(id), {
      from: account(from), to: account(to), currency: 'EUR', amountMinor: BigInt(word(amount)), memo: '',
    });
  }],
  [/^deliver (\S+) -> (\S+) (\S+)(?: (t\d+))?$/, (stage, ...words) => stage.deliver(taken(stage, words))],
  [/^deliver (\S+) -> (\S+) (prepare)(?: (t\d+))?, declined: (\S+)$/, (stage, ...words) => stage.deliver(taken(stage, words), words[4])],
  [/^duplicate (\S+) -> (\S+) (\S+)(?: (t\d+))?$/, (stage, ...words) => {
    const copied = taken(stage, words);
    stage.network.unshift(copied, copied);
  }],
  [/^drop (\S+) -> (\S+) (\S+)(?: (t\d+))?$/, (stage, ...words) => void taken(stage, words)],
  [/^expire (\S+) (\S+)$/, (stage, gateway, id) => stage.expire(word(gateway), word(id))],
  [/^(\S+) finds (\S+) (unsent|unreachable) for (\S+)$/, (stage, gateway, bank, kind, id) =>
    stage.silence(word(gateway), word(bank), word(id), kind === 'unsent' ? 'unsent' : 'unreachable')],
  [/^(\S+) asks (\S+) about (\S+)$/, (stage, bank, gateway, id) => stage.inquire(word(bank), word(gateway), word(id))],
  [/^crash (\S+)$/, (stage, name) => stage.crash(word(name))],
  [/^restart (\S+)$/, (stage, name) => stage.restart(word(name))],
  [/^expect client (\S+) (.+)$/, (stage, id, expected) => equal(resultIn(stage.heard.get(word(id))), expected)],
  [/^expect log (\S+) (\S+) (.+)$/, (stage, log, id, expected) => {
    const { rows, finished } = stage.log(word(log));
    equal(rowIn(rows.get(word(id)), finished.has(word(id))), expected);
  }],
  [/^expect network (.+)$/, (stage, expected) => equal(networkIn(stage.network), expected)],
  [/^expect (\S+) books (.+)$/, (stage, bank, expected) => {
    const { held, posted } = stage.bank(word(bank));
    equal(`held=${held} posted=${posted}`, expected);
  }],
  [/^expect (\S+) (t\d+) (.+)$/, (stage, bank, id, expected) => equal(legIn(stage.leg(word(bank), word(id)).state), expected)],
];

function perform(stage: Stage, command: string): void {
  for (const [pattern, action] of COMMANDS) {
    const match = pattern.exec(command);
    if (match !== null) return action(stage, ...match.slice(1));
  }
  throw new Error('unknown command');
}

/** Takes the oldest message that fits `from -> to kind [id]` out of the network. */
function taken(stage: Stage, [from, to, kind, id]: readonly (string | undefined)[]): Envelope {
  const index = stage.network.findIndex((sent) =>
    sent.from === from && sent.to === to && nameOf(sent) === kind && (id === undefined || idOf(sent) === id));
  const [found] = index < 0 ? [] : stage.network.splice(index, 1);
  if (found === undefined) throw new Error(`no such message; there are: ${networkIn(stage.network)}`);
  return found;
}

/** A vote goes by what it says, a decision by its outcome. */
function nameOf({ parcel }: Envelope): string {
  if (parcel.kind === 'vote') return parcel.vote.kind;
  return parcel.kind === 'decide' ? (parcel.decision.outcome === 'committed' ? 'commit' : 'abort') : parcel.kind;
}

function idOf({ parcel }: Envelope): string {
  return 'request' in parcel ? parcel.request.id : parcel.id;
}

function networkIn(network: readonly Envelope[]): string {
  return network.map((sent) => `${sent.from} -> ${sent.to} ${nameOf(sent)}`).join(', ') || 'empty';
}

function legIn(state: LegState): string {
  switch (state.kind) {
    case 'absent':
      return 'absent';
    case 'prepared':
    case 'committed':
      return `${state.kind} attempt=${state.attempt} log=${state.log}`;
    case 'aborted':
      return `aborted attempt=${state.attempt}`;
    case 'declined':
      return `declined ${state.reason}`;
  }
}

function rowIn(row: DecisionRow | undefined, finished: boolean): string {
  if (row === undefined) return 'nothing';
  const { verdict, attempt } = row;
  const why = verdict.outcome === 'aborted' ? ` ${verdict.why}` : verdict.outcome === 'declined' ? ` ${verdict.reason}` : '';
  return `${verdict.outcome}${why} attempt=${attempt}${finished ? ' finished' : ''}`;
}

function resultIn(result: TransferResult | undefined): string {
  switch (result?.kind) {
    case undefined:
      return 'nothing';
    case 'succeeded':
      return `succeeded${result.replayed ? ' replayed' : ''}`;
    case 'declined':
      return `declined ${result.reason}${result.replayed ? ' replayed' : ''}`;
    case 'not-applied':
      return `not-applied ${result.why}`;
    case 'mismatch':
      return `mismatch ${result.field}`.trim();
    case 'unknown':
      return 'unknown';
  }
}

function account(text: string | undefined): AccountName {
  const [bank, name] = word(text).split('/');
  return { bank: word(bank), account: word(name) };
}

function equal(actual: string, expected: string | undefined): void {
  if (actual !== expected) throw new Error(`it is: ${actual}`);
}

function word(text: string | undefined): string {
  if (text === undefined || text === '') throw new Error('a word is missing');
  return text;
}
