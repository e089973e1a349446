import { isIPv6 } from 'node:net';

/**
 * What personal data looks like: names of columns in some twenty languages, and formats of values. Pure. The names are those that the
 * dictionaries of the field have (HIPAA's identifiers, special categories of Article 9 GDPR) and their translations.
 */

export type Looks =
  | 'an e-mail address'
  | 'a name of a person'
  | 'a phone number'
  | 'a postal address'
  | 'a date of birth'
  | 'an official number'
  | 'a bank account'
  | 'a payment card'
  | 'an IP address'
  | 'a hardware address'
  | 'a password'
  | 'a special category';

/** Column names, without separators. */
const names: Record<Looks, string> = {
  'an e-mail address':
    'email emails emailaddress mailaddress emailadresse courriel adresseemail correoelectronico correo epost eposta adresemail sahkoposti почта электроннаяпочта メール メールアドレス 邮箱 电子邮件 이메일',
  'a name of a person':
    'firstname lastname surname fullname givenname familyname middlename maidenname realname displayname contactname customername username nickname vorname nachname familienname benutzername prenom nomdefamille apellido apellidos cognome sobrenome voornaam achternaam imie nazwisko forename fornamn efternamn fornavn etternavn efternavn etunimi sukunimi jmeno prijmeni priezvisko soyad soyadi prenume vezeteknev keresztnev фамилия отчество прізвище όνομα επώνυμο 氏名 姓名 苗字 성명',
  'a phone number':
    'phone phonenumber phonenumbers telephone telephonenumber mobilephone mobilenumber cellphone fax faxnumber telefon telefonnummer handynummer mobilnummer telefono telefone telefoon telefoonnummer movil celular msisdn puhelin telefonnr telefonszam телефон τηλέφωνο 電話 電話番号 电话 手机 手机号 전화 전화번호',
  'a postal address':
    'streetaddress streetname postaladdress homeaddress billingaddress shippingaddress deliveryaddress addressline address1 address2 postcode postalcode zipcode strasse hausnummer plz postleitzahl anschrift adresse codepostal codigopostal calle direccion indirizzo endereco straat ulica kodpocztowy hjemmeadresse bostadsadress postnummer postinumero katuosoite lahiosoite διεύθυνση 住所 郵便番号 地址 주소',
  'a date of birth':
    'birthdate birthday dateofbirth dob birthyear birth geburtsdatum geburtstag datenaissance datedenaissance fechanacimiento fechadenacimiento datanascita datadinascita datanascimento geboortedatum dataurodzenia fodelsedatum fodelsedag fodselsdato fodselsdag syntymaaika datumnarozeni dogumtarihi датарождения деньрождения γέννηση 生年月日 誕生日 出生日期 생년월일',
  'an official number':
    'ssn socialsecurity socialsecuritynumber nationalid nationalidnumber passport passportnumber passportno taxid taxnumber steuernummer steuerid ausweisnummer sozialversicherungsnummer codicefiscale cpf bsn pesel personnummer driverslicense drivinglicence licenceplate licenseplate insurancenumber personnr fodselsnummer henkilotunnus rodnecislo tckimlikno паспорт инн снилс マイナンバー 身份证 身份证号 주민등록번호',
  'a bank account': 'iban bankaccount accountnumber bankaccountnumber kontonummer',
  'a payment card':
    'creditcard creditcardnumber cardnumber cardholder kreditkarte kreditkartennummer cartebancaire cvv cvc',
  'an IP address':
    'ipaddress ipaddr remoteaddr remoteip clientip lastip signinip currentsigninip lastsigninip loginip ipadresse adresseip',
  'a hardware address': 'macaddress macaddr hardwareaddress deviceaddress bluetoothaddress imei imsi',
  'a password':
    'password passwd passwordhash passworddigest encryptedpassword passwort motdepasse contrasena senha wachtwoord haslo',
  'a special category':
    'diagnosis diagnose medicalrecord bloodtype religion ethnicity sexualorientation politicalopinion',
};
/** Names that mean that only if they are the whole name: `tel`, not `tel_count`. */
const wholeNames: Partial<Record<Looks, string>> = {
  'an e-mail address': 'mail',
  'a name of a person': 'nom nombre naam имя 名前 이름',
  'a phone number': 'tel mobile cell handy mobil portable',
  'a postal address': 'address street zip rue adres adresi адрес адреса',
  'a date of birth': 'born',
  'an IP address': 'ip',
  'a hardware address': 'mac',
};
/** Last words of a name that make it one about such data, not one with it: `email_template`, `phone_prefix`. */
const about = new Set(
  'type kind format subject template policy algorithm strategy length count enabled required verified supported prefix'.split(
    ' ',
  ),
);
/** Tables whose column `name` is a person's. */
const persons =
  /^(users?|accounts?|people|persons?|customers?|members?|employees?|staff|patients?|students?|learners?|contacts?|clients?|guests?|authors?|kunden?|mitarbeiter|personen|benutzer|utilisateurs?|usuarios?|clientes?|clienti|utenti|klanten|gebruikers|klienci)$/;

const dictionary = (of: Partial<Record<Looks, string>>): Map<string, Looks> =>
  new Map(
    Object.entries(of).flatMap(([looks, list]) =>
      list.split(' ').map((name) => [plain(name).toLowerCase(), looks as Looks]),
    ),
  );
/** Without accents, in whatever script. */
const plain = (text: string): string =>
  text
    .normalize('NFD')
    .replaceAll(/\p{M}/gu, '')
    .replaceAll('ß', 'ss')
    .replaceAll('ł', 'l')
    .replaceAll(/[øØ]/g, 'o')
    .replaceAll('ı', 'i');
const anywhere = dictionary(names);
const whole = dictionary(wholeNames);

/** The words of a name: `lastSignIn_IP` has `last`, `sign`, `in`, `ip`. */
function wordsOf(name: string): string[] {
  const parted = plain(name)
    .replaceAll(/([\p{Ll}\d])(\p{Lu})/gu, '$1 $2')
    .replaceAll(/(\p{Lu}+)(\p{Lu}\p{Ll})/gu, '$1 $2');
  return parted
    .toLowerCase()
    .split(/[^\p{L}\d]+/u)
    .filter((word) => word !== '');
}

/** What a column, or a key of a document, looks like by its name in this table. */
export function looksByName(table: string, name: string): Looks | undefined {
  const words = wordsOf(name);
  const joined = words.join('');
  if (joined === 'name' && persons.test(wordsOf(table).at(-1) ?? '')) return 'a name of a person';
  for (let from = 0; from < words.length; from++)
    for (let to = words.length; to > from; to--) {
      const found = anywhere.get(words.slice(from, to).join(''));
      if (found !== undefined && (to === words.length || !about.has(words.at(-1) ?? ''))) return found;
    }
  return whole.get(joined);
}

/** Whether a type can hold that: `email_sent_at` is no address. */
export function canHold(looks: Looks, type: string, category: string): boolean {
  if (looks === 'a date of birth') return category === 'S' || category === 'D' || category === 'A';
  if (looks === 'an IP address') return category === 'S' || category === 'I';
  if (looks === 'a hardware address') return category === 'S';
  if (category === 'N')
    return (
      ['a phone number', 'an official number', 'a bank account', 'a payment card'].includes(looks) && type !== 'int2'
    );
  return category === 'S' || category === 'A' || (type === 'bytea' && looks === 'a password');
}

/** Domains that nobody can own (RFC 2606, RFC 6761). */
const reserved = /(^|\.)(example|test|invalid|localhost|example\.(com|net|org))$/i;
const address = /([^\s@"'<>,;:(){}=]+)@([\p{L}\d-]+(?:\.[\p{L}\d-]+)*\.\p{L}{2,})(?![\p{L}\d])/giu;
/** `logo@2x.png`, `user@1000.service`: names of files. */
const fileName = /\.(png|jpe?g|gif|svg|webp|avif|ico|css|js|service|timer)$/i;

/** Whether a text has somebody's address. Of those before a host, `git@` is nobody's, and after `//` comes the user of a URL. */
const hasAddress = (text: string): boolean =>
  [...text.matchAll(address)].some(
    ([, local = '', domain = '']) =>
      local !== 'git' && !/^\/\/[^/]*$/.test(local) && !reserved.test(domain) && !fileName.test(domain),
  );

interface Format {
  looks: Looks;
  matches: (value: string) => boolean;
  /** Share of the sampled values from which a column is one of these. Digits alone are often something else. */
  share: number;
}

const formats: readonly Format[] = [
  {
    looks: 'an e-mail address',
    matches: hasAddress,
    share: 0.02,
  },
  { looks: 'a bank account', matches: isIban, share: 0.1 },
  { looks: 'a payment card', matches: isCard, share: 0.5 },
  { looks: 'an IP address', matches: isPublicIp, share: 0.5 },
  {
    looks: 'a hardware address',
    matches: (value) => /^[\da-f]{2}(?:([:-])[\da-f]{2})(?:\1[\da-f]{2}){4}$/i.test(value),
    share: 0.5,
  },
  { looks: 'an official number', matches: isOfficial, share: 0.5 },
  {
    looks: 'a phone number',
    matches: isPhone,
    share: 0.5,
  },
];

/** What values look like, if enough of them do. Empty ones count as none. */
export function looksByValues(values: readonly string[]): Looks | undefined {
  const filled = values.map((v) => v.trim()).filter((v) => v !== '');
  return formats.find(({ matches, share }) => {
    const hits = filled.filter(matches).length;
    return hits > 0 && hits >= share * filled.length;
  })?.looks;
}

const digitsOf = (value: string): string => value.replaceAll(/\D/g, '');

/** Numbers of orders are filled up with zeros, and days are written with strokes. After `00` comes a country, and E.164 has up to 15 digits. */
function isPhone(value: string): boolean {
  const digits = digitsOf(value).length;
  if (/^\d\d[/-]\d\d[/-]\d{4}$/.test(value)) return false;
  if (/^00[1-9][\d ()/.-]+$/.test(value)) return digits >= 12 && digits <= 17;
  return /^(\+|\(0?\d|0[1-9]\d{0,3}[ /-])[\d ()/.-]{6,20}$/.test(value) && digits >= 8;
}

function isIban(value: string): boolean {
  const plain = value.replaceAll(' ', '').toUpperCase();
  if (!/^[A-Z]{2}\d{2}[A-Z\d]{11,30}$/.test(plain)) return false;
  const moved = plain.slice(4) + plain.slice(0, 4);
  let rest = 0;
  for (const c of moved) {
    const part = /\d/.test(c) ? c : String(c.charCodeAt(0) - 55);
    rest = Number(`${rest}${part}`) % 97;
  }
  return rest === 1;
}

/** Numbers of persons in forms that little else has: of the USA, the United Kingdom, Brazil, Spain, France. */
function isOfficial(value: string): boolean {
  if (/^(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}$/.test(value)) return true;
  if (/^[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z]( ?)\d{2}\1\d{2}\1\d{2}\1[A-D]$/i.test(value)) return true;
  if (/^\d{3}\.\d{3}\.\d{3}-\d{2}$/.test(value)) return true;
  const spanish = /^([XYZ\d]?)(\d{7})-?([A-Z])$/i.exec(value);
  if (spanish !== null) {
    const [, first = '', digits = '', letter = ''] = spanish;
    const number = Number(
      `${first === '' ? '' : ('XYZ'.indexOf(first.toUpperCase()) + 1 || Number(first) + 1) - 1}${digits}`,
    );
    return 'TRWAGMYFPDXBNJZSQVHLCKE'[number % 23] === letter.toUpperCase();
  }
  const french = /^([12]\d{2}(?:0[1-9]|1[0-2]|[2-9]\d)(?:\d{2}|2[AB])\d{6})(\d{2})$/i.exec(value.replaceAll(' ', ''));
  if (french === null) return false;
  const [, body = '', key = ''] = french;
  return 97n - (BigInt(body.toUpperCase().replace('2A', '19').replace('2B', '18')) % 97n) === BigInt(key);
}

/** 13 to 19 digits that begin like a card's and end with Luhn's. */
function isCard(value: string): boolean {
  if (!/^[3-6][\d -]{12,22}$/.test(value)) return false;
  const digits = [...digitsOf(value)].reverse().map(Number);
  if (digits.length < 13 || digits.length > 19) return false;
  const sum = digits.reduce((all, d, at) => all + (at % 2 === 0 ? d : d > 4 ? 2 * d - 9 : 2 * d), 0);
  return sum % 10 === 0;
}

function isPublicIp(value: string): boolean {
  const four = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(\/\d+)?$/.exec(value)?.slice(1, 5).map(Number);
  // A time of day has colons, too.
  if (four === undefined) return /^[23]/.test(value) && isIPv6(value.replace(/\/\d+$/, ''));
  const [a = 0, b = 0] = four;
  const own = a === 10 || a === 127 || a === 0 || (a === 172 && b >= 16 && b < 32) || (a === 192 && b === 168);
  // Numbers below are versions of software more often.
  return !own && a >= 11 && four.every((n) => n < 256);
}
