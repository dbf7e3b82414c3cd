// Questions and answers by line, at a terminal or through pipes. Something may be said at any time: what is half typed stays as it is.

import { clearScreenDown, createInterface, cursorTo, moveCursor } from 'node:readline';
import type { ReadStream } from 'node:tty';

export interface Dialog {
  /** The next line that is typed, without spaces around it; undefined when the input has ended or the dialog was left. */
  ask(question: string): Promise<string | undefined>;
  /** Says something, above the question that is open and what is typed so far. */
  say(text: string): void;
  /** As `say`, for what was asked for: on stdout. */
  show(text: string): void;
  /** Called on Ctrl-C; the question that is open is then answered with undefined. */
  onInterrupt(listener: () => void): void;
  close(): void;
}

const output = process.stderr;

/** The answers in their order, and after them what is typed on `input`, if there is one. */
export function openDialog(input: NodeJS.ReadStream | ReadStream | undefined, answers: readonly string[] = []): Dialog {
  if (input === undefined) return answeredDialog(answers);
  const isTerminal = input.isTTY && output.isTTY;
  const lines = createInterface({ input, output, terminal: isTerminal, prompt: '' });
  const typed: string[] = [...answers];
  let waiting: ((line: string | undefined) => void) | undefined;
  let ended = false;

  function give(line: string | undefined): void {
    const resolve = waiting;
    waiting = undefined;
    // From here on, what is typed ahead stands on a line without a question.
    lines.setPrompt('');
    if (resolve) resolve(line);
    else if (line !== undefined) typed.push(line);
  }

  /** Takes the question and what is typed so far off the screen, writes, and brings both back below. */
  function write(stream: NodeJS.WriteStream, text: string): void {
    if (!isTerminal || ended) {
      stream.write(`${text}\n`);
      return;
    }
    const isOpen = waiting !== undefined || lines.line !== '';
    const { rows } = lines.getCursorPos();
    cursorTo(output, 0);
    moveCursor(output, 0, -rows);
    clearScreenDown(output);
    stream.write(`${text}\n`);
    if (!isOpen) return;
    // The interface draws its lines anew from where it believes their first row to be: as many rows above.
    output.write('\n'.repeat(rows));
    lines.prompt(true);
  }

  lines.on('line', (line) => give(line.trim()));
  lines.once('close', () => {
    ended = true;
    give(undefined);
  });

  return {
    ask(question) {
      const next = typed.shift();
      if (next !== undefined) return Promise.resolve(next);
      if (ended) return Promise.resolve(undefined);
      lines.setPrompt(question);
      lines.prompt(true);
      return new Promise((resolve) => (waiting = resolve));
    },
    say: (text) => write(output, text),
    show: (text) => write(process.stdout, text),
    onInterrupt(listener) {
      lines.on('SIGINT', () => {
        // What is half typed is given up.
        for (const name of ['e', 'u']) lines.write(null, { ctrl: true, name });
        output.write('\n');
        listener();
        give(undefined);
      });
    },
    close: () => lines.close(),
  };
}

function answeredDialog(answers: readonly string[]): Dialog {
  const left = [...answers];
  return {
    ask: () => Promise.resolve(left.shift()?.trim()),
    say: (text) => void output.write(`${text}\n`),
    show: (text) => void process.stdout.write(`${text}\n`),
    onInterrupt: () => undefined,
    close: () => undefined,
  };
}
