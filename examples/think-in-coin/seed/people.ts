/** Made-up people: names that could be, addresses that cannot (`.invalid`, RFC 2606). */
export interface Person {
  email: string;
  name: string;
  joinedHour: number;
  currency: string;
  theme: string;
  reminder: string;
  tries: { lesson: number; score: number; hour: number }[];
}

const first = [
  'Amina',
  'Bruno',
  'Chiara',
  'Daan',
  'Elif',
  'Farid',
  'Greta',
  'Hugo',
  'Ines',
  'Jonas',
  'Kaya',
  'Lukas',
  'Mila',
  'Noor',
  'Oskar',
  'Petra',
  'Rosa',
  'Samuel',
  'Tilda',
  'Yusuf',
  'Zoë',
  'Åsa',
];
const last = [
  'Abel',
  'Berger',
  'Costa',
  'Dubois',
  'Eriksen',
  'Fischer',
  'García',
  'Haddad',
  'Ivanova',
  'Jansen',
  'Kowalski',
  'Lindqvist',
  'Moreau',
  'Novák',
  "O'Brien",
  'Papadaki',
  'Rossi',
  'Schmid',
  'Tanaka',
  'Weber',
  'Yılmaz',
];

/** mulberry32, a small public-domain generator: enough to spread data, not to keep secrets. */
function randomOf(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

const plain = (text: string): string =>
  text
    .normalize('NFD')
    .replace(/[^A-Za-z]/g, '')
    .toLowerCase();

/** People number `from` to `from + size - 1`. Each depends on the seed and the own number alone. */
export function people(seed: number, from: number, size: number): Person[] {
  return Array.from({ length: size }, (_, i) => {
    const number = from + i;
    const random = randomOf(seed * 1_000_003 + number * 7919);
    const pick = (list: readonly string[]): string => list[random(list.length)] ?? '';
    const [given, family] = [pick(first), pick(last)];
    const joinedHour = random(24 * 240);
    return {
      email: `s${seed}.${String(number).padStart(8, '0')}.${plain(given)}.${plain(family)}@seeded.invalid`,
      name: `${given} ${family}`,
      joinedHour,
      currency: pick(['EUR', 'EUR', 'EUR', 'USD', 'GBP', 'CHF']),
      theme: pick(['system', 'system', 'light', 'dark']),
      reminder: pick(['none', 'none', 'weekly', 'daily']),
      tries: Array.from({ length: random(7) }, (_unused, n) => ({
        lesson: random(6),
        score: random(3) === 0 ? 20 : 100,
        hour: joinedHour + n * 20 + random(20),
      })),
    };
  });
}
