--- What a task takes of the store, on its way to the process that does it. Tasks have much of it in common (the outputs
-- of the dense model, the scores), so that of each kind the last value stays where it is, and only its name is sent.
-- @module secateur.experiments.task_inputs
local task_inputs = {}

--- The inputs of a task, but for what the other side has already.
-- @tab list `{ name =, kind =, key = }` each
-- @func get a function of (kind, key), which gives the value or nil
-- @tab sent kind -> key of what was sent last; is kept up
-- @treturn list of `{ name =, kind =, value = or same = true }`
function task_inputs.pack(list, get, sent)
  local packed = {}
  for i, input in ipairs(list) do
    local entry = { name = input.name, kind = input.kind }
    if sent[input.kind] == input.key then
      entry.same = true
    else
      entry.value = get(input.kind, input.key)
      if entry.value ~= nil then sent[input.kind] = input.key end
    end
    packed[i] = entry
  end
  return packed
end

--- The inputs again, by name.
-- @tab packed
-- @tab kept kind -> the last value; is kept up
-- @treturn table
function task_inputs.unpack(packed, kept)
  local inputs = {}
  for _, entry in ipairs(packed) do
    if not entry.same and entry.value ~= nil then kept[entry.kind] = entry.value end
    if entry.same then inputs[entry.name] = kept[entry.kind] else inputs[entry.name] = entry.value end
  end
  return inputs
end

return task_inputs
