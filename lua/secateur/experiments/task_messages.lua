--- What the processes of a sweep send each other: a head of plain data and any number of texts of any bytes.
--
-- From rank 0: `task` (task, drop; inputs; perhaps a model's file), `end` (perhaps with a problem). To rank 0: `done`
-- (id, seconds; result; perhaps a model's file), `failed` (id, seconds, message).
-- @module secateur.experiments.task_messages
local errors = require "secateur.util.errors"
local json = require "secateur.util.json"

local task_messages = {}

-- What a message begins with: a script of one's own may send messages, too.
local MARK = "secateur sweep 1\n"

--- A message as one text.
-- @tab head plain data, with `type`
-- @param ... texts
-- @treturn string
function task_messages.pack(head, ...)
  local parts, lengths = { ... }, {}
  for i, part in ipairs(parts) do lengths[i] = #part end
  return table.concat { MARK, json.encode { head = head, lengths = lengths }, "\n", table.concat(parts) }
end

--- A message again.
-- @string text
-- @treturn tab head
-- @return its texts
function task_messages.unpack(text)
  local stop = text:sub(1, #MARK) == MARK and text:find("\n", #MARK + 1, true)
  if not stop then
    errors.refuse("sweep", "a message that is none of a sweep's came from another process; receive what a script of "
      .. "one's own sends before the sweep begins")
  end
  local whole, parts, first = json.decode(text:sub(#MARK + 1, stop - 1)), {}, stop + 1
  for i, length in ipairs(whole.lengths) do
    parts[i] = text:sub(first, first + length - 1)
    first = first + length
  end
  return whole.head, table.unpack(parts)
end

return task_messages
