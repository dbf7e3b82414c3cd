// How a trace names what happens.

import type { LegState } from '../protocol/participant-machine.ts';
import type { Proposal, Silence, Vote } from '../protocol/vocabulary.ts';
import type { Message } from './model.ts';

export const describe = { message, vote, row, leg };

function message(sent: Message): string {
  switch (sent.kind) {
    case 'prepare':
      return `prepare ${sent.log}/${sent.attempt} ${sent.fingerprint} -> ${sent.bank}`;
    case 'vote':
      return `${vote(sent.vote)} ${sent.log}/${sent.attempt} from ${sent.bank}`;
    case 'decide':
    case 'acknowledgement': {
      const { outcome, attempt, fingerprint } = sent.decision;
      const closing = sent.decision.outcome === 'aborted' && sent.decision.reason !== undefined ? ' for ever' : '';
      return `${outcome} ${sent.log}/${attempt} ${fingerprint}${closing} -> ${sent.bank}`;
    }
    case 'inquiry':
      return `inquiry ${sent.log}/${sent.attempt} ${sent.fingerprint} from ${sent.bank}`;
  }
}

function vote(said: Vote | Silence): string {
  return said.kind === 'fenced' ? `fenced ${said.fence}` : said.kind;
}

function row({ attempt, fingerprint, verdict }: Proposal): string {
  return `${verdict.outcome} ${attempt} ${fingerprint}`;
}

function leg(state: LegState): string {
  if (state.kind === 'absent') return 'absent';
  return 'attempt' in state ? `${state.kind} ${state.attempt} ${state.fingerprint}` : `${state.kind} ${state.fingerprint}`;
}
