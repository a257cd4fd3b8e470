# Priem's own filters in jq, beside the native ones in stdlib.rs. The reference is in stdlib.rs, REFERENCE.

# A value that says nothing becomes null: empty text, "-", text of spaces.
def present: if isstring then (trim | if . == "" or . == "-" or . == "—" then null end) end;

# Whatever it is, as text; nothing stays nothing.
def text: if . == null then null elif isstring then present else tostring end;

# What may be absent, one, or many becomes an array.
def as_list: if . == null then [] elif isarray then . else [.] end;

# The parts of a name as one text.
def full_name:
  (if isobject then [.surname, .name, .patronymic] elif isarray then . else [.] end)
  | map(text | select(. != null)) | join(" ") | present;

# A clock the source itself gives, from a moment.
def deadline($stage):
  if . == null then empty
  else due_at as $due
  | if $due == null then empty
    else {stage: $stage, due_at: $due, zone, basis: "source", unit: "calendar_days"} end end;

# Keeps only what is there: drops keys with null, empty objects and empty arrays, deeply.
def compact: walk(if isobject then with_entries(select(.value != null and .value != {} and .value != [])) elif isarray then map(select(. != null)) end);

# A table of the manifest; an unknown code gives the fallback and never fails. The code is looked for as it is written,
# then in lower case without spaces around it: tables of words are written in lower case.
def lookup($table; $code; fallback):
  ($tables[$table] // {}) as $rows
  | if $code == null then fallback
    else ($code | tostring) as $key
    | if $rows | has($key) then $rows[$key]
      else ($key | lower) as $low
      | if $rows | has($low) then $rows[$low] else fallback end end end;
def lookup($table; $code): lookup($table; $code; null);

# A common status by a table: {common, raw}. A code the table does not know is `other`, its text kept.
def status($table; $code):
  if $code == null then null else {common: lookup($table; $code; "other"), raw: ($code | tostring)} end;

# One level of a classifier, or nothing.
def node($id; $name): ($name | text) as $n | if $n == null then empty else {id: ($id | text), name: $n} end;
