import { expect } from 'chai';
import { judge } from '../../../../../automation/data/masking/classify.ts';
import { looksByName, looksByValues } from '../../../../../automation/data/masking/identifiers.ts';

describe('a column looks personal', () => {
  for (const [table, column, looks] of [
    ['users', 'email', 'an e-mail address'],
    ['orders', 'billing_email', 'an e-mail address'],
    ['Kunden', 'EMailAdresse', 'an e-mail address'],
    ['people', 'Prénom', 'a name of a person'],
    ['hr_employees', 'name', 'a name of a person'],
    ['klanten', 'achternaam', 'a name of a person'],
    ['cliente', 'teléfono', 'a phone number'],
    ['kunden', 'straße', 'a postal address'],
    ['users', 'lastSignInIP', 'an IP address'],
    ['mitarbeiter', 'geburtsdatum', 'a date of birth'],
    ['x', 'date_of_birth', 'a date of birth'],
    ['cidadao', 'cpf', 'an official number'],
    ['osoby', 'PESEL', 'an official number'],
    ['x', 'encrypted_password', 'a password'],
    ['x', 'tel', 'a phone number'],
    ['anvandare', 'efternamn', 'a name of a person'],
    ['brugere', 'fødselsdato', 'a date of birth'],
    ['asiakkaat', 'sukunimi', 'a name of a person'],
    ['клиенты', 'Фамилия', 'a name of a person'],
    ['клиенты', 'дата_рождения', 'a date of birth'],
    ['顧客', '電話番号', 'a phone number'],
    ['顧客', 'メールアドレス', 'an e-mail address'],
    ['用户', '姓名', 'a name of a person'],
    ['musteri', 'soyadı', 'a name of a person'],
    ['πελάτες', 'Επώνυμο', 'a name of a person'],
    ['devices', 'macAddress', 'a hardware address'],
    ['products', 'name', undefined],
    ['x', 'tel_count', undefined],
    ['lessons', 'title', undefined],
    ['x', 'description', undefined],
    ['x', 'ip_count', undefined],
    ['x', 'email_template', undefined],
    ['countries', 'phone_prefix', undefined],
    ['x', 'password_policy', undefined],
    ['файлы', 'имя_файла', undefined],
    ['клиенты', 'имя', 'a name of a person'],
    ['patients', 'blood_type', 'a special category'],
  ] as const)
    it(`by its name: ${table}.${column} ${looks === undefined ? 'does not' : `like ${looks}`}`, () =>
      expect(looksByName(table, column)).to.equal(looks));

  for (const [what, values, looks] of [
    ['addresses', ['a@corp.de', 'x', ''], 'an e-mail address'],
    ['addresses in text', ['write to <anna@corp.co.uk>, please', 'nothing'], 'an e-mail address'],
    ['addresses in other letters', ['Jürgen.Groß@müller.de', '用户@例子.广告'], 'an e-mail address'],
    ['reserved addresses', ['a@example.com', 'b@x.test', 'c@mail.example.org', 'd@x.invalid'], undefined],
    ['account numbers', ['DE89 3704 0044 0532 0130 00', 'GB29NWBK60161331926819'], 'a bank account'],
    ['wrong account numbers', ['DE88 3704 0044 0532 0130 00'], undefined],
    ['addresses in URLs', ['https://shop.de/leave/anna@corp.de'], 'an e-mail address'],
    [
      'files, packages and repositories',
      ['logo@2x.png', 'user@1000.service', 'react@18.2.0', 'git@github.com:a/b.git', 'https://4f1c@o1.ingest.io/1'],
      undefined,
    ],
    ['card numbers', ['4539 1488 0343 6467', '378282246310005'], 'a payment card'],
    ['card numbers that fail the check', ['4539148803436468', '5539148803436460'], undefined],
    ['addresses of hosts', ['81.2.69.142', '2001:db8::7'], 'an IP address'],
    ['private hosts and versions', ['10.0.0.1', '192.168.1.1', '1.2.3.4', '127.0.0.1'], undefined],
    ['hardware addresses', ['08:00:2b:01:02:03', '08-00-2B-01-02-FF'], 'a hardware address'],
    ['hashes and times', ['08:00:25', '0800:2b01:0203', 'a1:b2'], undefined],
    ['social security numbers', ['078-05-1120', '219-09-9999'], 'an official number'],
    ['national insurance numbers', ['QQ 12 34 56 C', 'AB123456D', 'JG 10 37 59 A'], 'an official number'],
    [
      'Brazilian, Spanish and French numbers',
      ['111.444.777-35', '12345678Z', 'X1234567L', '1 84 12 76 451 089 46'],
      'an official number',
    ],
    [
      'articles and wrong check letters',
      ['12345678A', '123-456-789', '000-12-3456', '1 84 12 76 451 089 47'],
      undefined,
    ],
    ['times of day and timecodes', ['20:15:00', '23:59:59', '22:10:05:24'], undefined],
    ['numbers filled up with zeros', ['00000001', '0012345678', '00340434161094042557'], undefined],
    ['days', ['01/02/2024', '28-02-2024'], undefined],
    ['phone numbers with the code of a country', ['0049 151 2345678', '0033 (0)1 23 45 67 89'], 'a phone number'],
    ['phone numbers', ['+49 151 2345678', '0151 2345678', '(030) 1234567'], 'a phone number'],
    ['order numbers', ['12345678', '00012345', '2024-05-06', '20240506'], undefined],
    ['nothing', ['', ' '], undefined],
    ['one address in a hundred texts', [...Array.from({ length: 99 }, () => 'text'), 'a@corp.de'], undefined],
  ] as const)
    it(`by its values: ${what} ${looks === undefined ? 'do not' : `like ${looks}`}`, () =>
      expect(looksByValues(values)).to.equal(looks));

  it('only if its type can hold that', () => {
    const looks = (name: string, type: string, category: string) =>
      judge('public.users', { name, type, category }, [], []).map((s) => s.looks);
    expect(looks('email_sent_at', 'timestamptz', 'D')).to.deep.equal([]);
    expect(looks('email_verified', 'bool', 'B')).to.deep.equal([]);
    expect(looks('birthday', 'date', 'D')).to.deep.equal(['a date of birth']);
    expect(looks('phone', 'int8', 'N')).to.deep.equal(['a phone number']);
    expect(looks('password_hash', 'bytea', 'U')).to.deep.equal(['a password']);
    expect(looks('anything', 'inet', 'I')).to.deep.equal(['an IP address']);
  });

  it('at each path of a document that no rule covers', () => {
    const column = { name: 'profile', type: 'jsonb', category: 'U' };
    const values = [
      JSON.stringify({ contact: { email: '', x: 'a@corp.de' }, friends: [{ phone: 1 }], age: 7 }),
      '{"cut off',
    ];
    const paths = (...masked: string[]) => judge('public.users', column, values, masked).map((s) => s.column);
    const [email, x, phone] = ['contact.email', 'contact.x', 'friends.phone'].map(
      (p) => `public.users.profile at ${p}`,
    );
    expect(paths()).to.deep.equal([email, x, phone]);
    expect(paths('contact')).to.deep.equal([phone]);
    expect(paths('contact.*', 'friends.*.phone')).to.deep.equal([]);
    expect(paths('contact.email', 'friends')).to.deep.equal([x]);
  });
});
