/** What the chat knows: the first rule of which a word occurs in the question. */
const rules: { words: string[]; answer: string }[] = [
  {
    words: ['budget', 'spend', '50/30/20'],
    answer:
      'Try 50/30/20: half of your income for needs, three tenths for wishes, a fifth to save. Write it down for three months before you judge it.',
  },
  {
    words: ['emergency', 'rainy', 'safety'],
    answer:
      'Aim for three months of expenses in an account that you can reach within a day. Start with a single month.',
  },
  {
    words: ['debt', 'loan', 'credit'],
    answer:
      'Pay the dearest debt first: compare the yearly rates, not the monthly instalments. Overdrafts and cards usually lead.',
  },
  {
    words: ['interest', 'compound', 'saving'],
    answer: 'Divide 72 by the yearly rate: that is about how many years your money takes to double.',
  },
  {
    words: ['inflation', 'price', 'expensive'],
    answer: 'What counts is the real return: interest minus inflation. Below zero, your savings buy less every year.',
  },
  {
    words: ['share', 'stock', 'fund', 'etf', 'invest', 'risk'],
    answer: 'A broad, cheap index fund spreads the risk. Put in only what you can leave alone for ten years.',
  },
  {
    words: ['coin', 'crypto', 'bitcoin', 'wallet'],
    answer:
      'Nobody promises the value of a cryptocurrency. Put in only what you can afford to lose, and keep your keys safe.',
  },
];

const fallback =
  'I know about budgets, rainy-day funds, debts, interest, inflation, investing and coins. Ask me about one of them. I give no personal advice.';

/** Answers a question about money by simple rules. The same question always gets the same answer. */
export function coach(question: string): string {
  const asked = question.toLowerCase();
  return rules.find(({ words }) => words.some((word) => asked.includes(word)))?.answer ?? fallback;
}
