--- Images of a split that can really be read: headers tell which files are images, but only decoding tells whether they
-- are whole. Whoever chooses samples goes through here, so that what is chosen is what is used.
-- @module secateur.data.readable
local readable = {}

--- A batch of a split, as `split:batch` gives it; nil where none of the images can be decoded, which the split names.
-- @tparam Split split of a data set, or of one's own
-- @tparam {int,...} indices
-- @treturn[1] Tensor x
-- @treturn[1] Tensor y
-- @treturn[1] {int,...} kept: the indices that were read
-- @treturn[2] nil
function readable.batch(split, indices)
  local x, y, kept = (split.read or split.batch)(split, indices)
  if not x or x:size(1) == 0 then return nil end
  if not kept and x:size(1) ~= #indices then
    -- A split of one's own that does not say which are left: each by itself.
    kept = {}
    for _, index in ipairs(indices) do
      local one = (split.read or split.batch)(split, { index })
      if one and one:size(1) > 0 then kept[#kept + 1] = index end
    end
  end
  return x, y, kept or indices
end

--- Where what was read stands among what was asked for. Of an image that was asked for twice both are read or none.
-- @tparam {int,...} indices that were asked for
-- @tparam ?{int,...} kept those that were read, a part of them in their order
-- @treturn {int,...} positions in `indices`
function readable.positions(indices, kept)
  local positions, at = {}, 0
  for i, index in ipairs(kept or {}) do
    repeat at = at + 1 until indices[at] == index or at > #indices
    positions[i] = at
  end
  return positions
end

--- The first samples of a list that can be read. Decodes as few as that takes.
-- @tparam Split split
-- @tparam {int,...} indices in the order of preference
-- @int wanted how many of them
-- @int batch how many are decoded at a time
-- @tab[opt] known index -> whether it can be read, for those that were looked at before; what is learned is added
-- @treturn {int,...} at most `wanted` of them, in the order given
-- @treturn {int,...} those before them that cannot be read
function readable.first(split, indices, wanted, batch, known)
  known = known or {}
  local taken, failed, at = {}, {}, 1
  local function look_ahead()
    local unknown, possible, asked = {}, #taken, {}
    for i = at, #indices do
      if possible == wanted or #unknown == batch then break end
      local index = indices[i]
      if known[index] == nil and not asked[index] then asked[index], unknown[#unknown + 1] = true, index end
      if known[index] ~= false then possible = possible + 1 end
    end
    if #unknown == 0 then return end
    local _, _, kept = readable.batch(split, unknown)
    for _, index in ipairs(unknown) do known[index] = false end
    for _, index in ipairs(kept or {}) do known[index] = true end
  end
  while #taken < wanted and at <= #indices do
    if known[indices[at]] == nil then look_ahead() end
    local list = known[indices[at]] and taken or failed
    list[#list + 1], at = indices[at], at + 1
  end
  return taken, failed
end

return readable
