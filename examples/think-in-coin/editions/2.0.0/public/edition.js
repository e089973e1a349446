const count = (number, one, many) => `${number} ${number === 1 ? one : many}`;

/** What the page of 2.0.0 shows of an account's progress: points and the streak as well. */
export const summaryPills = ({ lessons, points, streak }, all) => [
  `${lessons.filter((one) => one.bestScore === 100).length} of ${all} done`,
  count(points, 'point', 'points'),
  `${count(streak.days, 'day', 'days')} in a row`,
];

const days = Array.from({ length: 8 }, (_, n) => [n, n === 0 ? 'No goal' : `${count(n, 'day', 'days')} a week`]);

export const preferenceFields = [
  { name: 'currency', label: 'Currency', choices: ['EUR', 'USD', 'GBP', 'CHF'].map((code) => [code, code]) },
  { name: 'theme', label: 'Look', choices: [['system', 'As the device'], ['light', 'Light'], ['dark', 'Dark']] },
  { name: 'goalDays', label: 'My goal: learn on', number: true, choices: days },
];
