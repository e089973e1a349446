/** What the page of 1.0.0 shows of an account's progress. */
export const summaryPills = ({ lessons }, all) => [`${lessons.filter((one) => one.bestScore === 100).length} of ${all} done`];

export const preferenceFields = [
  { name: 'currency', label: 'Currency', choices: ['EUR', 'USD', 'GBP', 'CHF'].map((code) => [code, code]) },
  { name: 'theme', label: 'Look', choices: [['system', 'As the device'], ['light', 'Light'], ['dark', 'Dark']] },
  { name: 'reminder', label: 'Remind me', choices: [['none', 'Never'], ['weekly', 'Weekly'], ['daily', 'Daily']] },
];
