// Questions at a terminal, asked on stderr as all messages are. Ctrl-C or Escape at one is an interruption, or `undefined` where one may step back.

import { isCancel, password, select, text } from '@clack/prompts';

const output = process.stderr;

/** Thrown when the person leaves a question; the program ends as if interrupted. */
function interrupted(): Error {
  const error = new Error('interrupted');
  error.name = 'AbortError';
  return error;
}

export async function promptPassword(message: string): Promise<string> {
  const answer = await password({ message, output, validate: required });
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

/** One of the choices; undefined when the person steps back. */
export async function promptChoice<Value extends string>(
  message: string,
  choices: readonly { value: Value; label: string }[],
): Promise<Value | undefined> {
  const options = choices.map(({ value, label }) => ({ value: value as string, label }));
  const answer = await select({ message, output, options });
  return isCancel(answer) ? undefined : (answer as Value);
}

function required(value: string | undefined): string | undefined {
  return value?.trim() ? undefined : 'Please say something.';
}
