--- Linear operations as the list of their terms, and relevance rules written out over them: slow, and independent of
-- everything in csrc.
local terms = {}

--- Layers whose terms are worth writing out: with and without bias, strides, groups, dilation, padding.
terms.layers = {
  { op = "linear", shape = { 7 }, attrs = { out = 5 } },
  { op = "linear", shape = { 7 }, attrs = { out = 5, bias = false } },
  { op = "conv2d", shape = { 2, 5, 6 }, attrs = { out = 3, kernel = 3, padding = 1 } },
  { op = "conv2d", shape = { 2, 7, 6 }, attrs = { out = 3, kernel = { 3, 2 }, stride = { 2, 1 }, padding = { 1, 0 } } },
  { op = "conv2d", shape = { 4, 6, 5 }, attrs = { out = 6, kernel = 2, groups = 2, bias = false } },
  { op = "conv2d", shape = { 2, 8, 7 }, attrs = { out = 2, kernel = { 2, 3 }, dilation = { 3, 2 }, padding = 1 } },
  { op = "conv2d", shape = { 4, 5, 5 }, attrs = { out = 4, kernel = 3, groups = 4, padding = 2, stride = 3 } },
}

local function pair(value) return type(value) == "table" and value or { value, value } end

--- The terms of a convolution of one sample: for each output, `{unit =, {input, weight}, …}`; indices from 1.
-- @tparam {int,int,int} shape of the input
-- @tparam table a attributes, all given but for defaults
-- @tparam {number,...} weight flat
function terms.conv2d(shape, a, weight)
  local c, h, w = table.unpack(shape)
  local k, s, p, d = pair(a.kernel), pair(a.stride or 1), pair(a.padding or 0), pair(a.dilation or 1)
  local groups = a.groups or 1
  local oh = (h + 2 * p[1] - (k[1] - 1) * d[1] - 1) // s[1] + 1
  local ow = (w + 2 * p[2] - (k[2] - 1) * d[2] - 1) // s[2] + 1
  local per, list = c // groups, {}
  for o = 0, a.out - 1 do
    for y = 0, oh - 1 do
      for x = 0, ow - 1 do
        local output = { unit = o + 1 }
        for i = 0, per * k[1] * k[2] - 1 do
          local channel = o // (a.out // groups) * per + i // (k[1] * k[2])
          local row = y * s[1] - p[1] + i // k[2] % k[1] * d[1]
          local column = x * s[2] - p[2] + i % k[2] * d[2]
          if row >= 0 and row < h and column >= 0 and column < w then
            output[#output + 1] = { (channel * h + row) * w + column + 1, weight[o * per * k[1] * k[2] + i + 1] }
          end
        end
        list[#list + 1] = output
      end
    end
  end
  return list
end

--- The same for a linear layer.
function terms.linear(shape, a, weight)
  local list = {}
  for o = 1, a.out do
    local output = { unit = o }
    for i = 1, shape[1] do output[i] = { i, weight[(o - 1) * shape[1] + i] } end
    list[o] = output
  end
  return list
end

local EPSILON = 1e-6

local function stab(d) return d >= 0 and d + EPSILON or d - EPSILON end
local function plus(v) return math.max(v, 0) end
local function minus(v) return math.min(v, 0) end

-- Shares out R over the terms in proportion to part(x, w), the bias taking its own part of the denominator.
local function in_proportion(into, output, x, r, part, bias_part)
  local sum = bias_part
  for _, term in ipairs(output) do sum = sum + part(x[term[1]], term[2]) end
  for _, term in ipairs(output) do
    into[term[1]] = into[term[1]] + part(x[term[1]], term[2]) * r / stab(sum)
  end
end

local shares = {}

function shares.epsilon(into, output, x, r, b)
  in_proportion(into, output, x, r, function(v, w) return v * w end, b)
end

function shares.zplus(into, output, x, r, b)
  in_proportion(into, output, x, r, function(v, w) return plus(v * w) end, plus(b))
end

function shares.alphabeta(into, output, x, r, b, alpha, beta)
  in_proportion(into, output, x, alpha * r, function(v, w) return plus(v * w) end, plus(b))
  in_proportion(into, output, x, -beta * r, function(v, w) return minus(v * w) end, minus(b))
end

function shares.gamma(into, output, x, r, b, gamma)
  local z = b
  for _, term in ipairs(output) do z = z + x[term[1]] * term[2] end
  local side = z > 0 and plus or minus
  if z ~= 0 then
    in_proportion(into, output, x, r, function(v, w) return v * w + gamma * side(v * w) end, b + gamma * side(b))
  end
end

function shares.flat(into, output, x, r) in_proportion(into, output, x, r, function() return 1 end, 0) end

function shares.wsquare(into, output, x, r, b)
  in_proportion(into, output, x, r, function(_, w) return w * w end, b * b)
end

function shares.zbox(into, output, x, r, _, low, high)
  in_proportion(into, output, x, r, function(v, w) return v * w - low * plus(w) - high * minus(w) end, 0)
end

-- gate(t, p, n, b) -> whether positive, whether negative terms get their share.
function shares.dlb(into, output, x, r, b, gate)
  local p, n = 0, 0
  for _, term in ipairs(output) do
    local z = x[term[1]] * term[2]
    p, n = p + plus(z), n - minus(z)
  end
  local open_p, open_n = true, true
  if gate then open_p, open_n = gate(p - n + b, p, n, b) end
  local sum = (open_p and p or 0) + (open_n and n or 0) + math.abs(b)
  for _, term in ipairs(output) do
    local z = x[term[1]] * term[2]
    if sum > 0 and (z > 0 and open_p or z < 0 and open_n) then
      into[term[1]] = into[term[1]] + math.abs(z) * r / sum
    end
  end
end

--- Relevance of the inputs of one sample.
-- @string rule a name of the above
-- @tparam {table,...} list of terms per output
-- @tparam {number,...} x inputs
-- @tparam {number,...} r relevance of the outputs
-- @tparam {number,...}|nil bias per unit
-- @param ... the rule's numbers
function terms.relevance(rule, list, x, r, bias, ...)
  local into = {}
  for i = 1, #x do into[i] = 0 end
  for j, output in ipairs(list) do shares[rule](into, output, x, r[j], bias and bias[output.unit] or 0, ...) end
  return into
end

return terms
