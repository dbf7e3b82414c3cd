// Ids as the stores take them: one spelling for each.

/** The ids that were found to be good. Worlds use the same few again and again, and the stores ask about each of them many times. */
const known = new Set<string>();
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Throws RangeError for anything but a UUID in canonical lower-case form. */
export function requireId(id: string): void {
  if (known.has(id)) return;
  if (!UUID.test(id)) throw new RangeError(`not a UUID in canonical form: ${JSON.stringify(id.slice(0, 50))}`);
  known.add(id);
}
