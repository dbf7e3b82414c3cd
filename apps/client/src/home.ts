// Imported before everything that looks for a home directory: without one, or with an empty HOME, nothing may be kept in the folder that the
// command happens to run in.

import { homedir } from 'node:os';

/** What Debian calls the home of those who have none: nothing is there, and nothing can be made there. */
const NO_HOME = '/nonexistent';

if (process.env['HOME'] === '') delete process.env['HOME'];
try {
  homedir();
} catch {
  process.env['HOME'] = NO_HOME;
}
