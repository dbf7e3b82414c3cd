// Questions at a terminal, asked on stderr as all messages are. Ctrl-C or Escape at one is an interruption, or `undefined` where one may step back.

import { confirm, isCancel, password, text } from '@clack/prompts';

const output = process.stderr;

/** Thrown when the person leaves a question; the program ends as if interrupted. */
function interrupted(): Error {
  const error = new Error('interrupted');
  error.name = 'AbortError';
  return error;
}

export async function promptPassword(message: string): Promise<string> {
  const answer = await password({ message, output, validate: (value) => (value ? undefined : 'Please say something.') });
  if (isCancel(answer)) throw interrupted();
  return answer;
}

/** A line of text; undefined when the person steps back. */
export async function promptText(
  message: string,
  options: { placeholder?: string; optional?: boolean } = {},
): Promise<string | undefined> {
  const { placeholder, optional = false } = options;
  const answer = await text({ message, output, ...(placeholder && { placeholder }), ...(!optional && { validate: required }) });
  return isCancel(answer) ? undefined : (answer ?? '').trim();
}

/** False also when the person steps back. */
export async function promptYesNo(message: string): Promise<boolean> {
  const answer = await confirm({ message, output, initialValue: false });
  return answer === true;
}

function required(value: string | undefined): string | undefined {
  return value?.trim() ? undefined : 'Please say something.';
}
