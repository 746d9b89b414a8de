--- Relevance rules for operations that are linear in their inputs, as data (Bach et al. 2015; Montavon et al. 2019;
-- Kohlbrenner et al. 2020).
--
-- A rule is a list of groups. Each group runs the operation on modified inputs, weights and biases (its terms), divides
-- the relevance by the sum, and hands it back along the same terms:
--
--     R_in = sum over groups of  coefficient * sum over terms of  x' * B'(R_out / stabilised sum of F'(x'))
--
-- A modifier maps v to plain v + positive max(v, 0) + negative min(v, 0) + square v^2 + constant; fields not given
-- are 0. One of inputs may have `constants`, a list of one per channel (up to 16), which are added. Relevance of the
-- outputs may be gated by the sign of the unmodified output ("positive", "negative"). So a new rule is a table.
-- LRP-|z|, which shares in proportion to the magnitudes of contributions, bias included:
--
--     local magnitude = rules.magnitude
--     local rule = { kind = "linear", groups = { { epsilon = 1e-6, terms = {
--       { input = magnitude, weight = magnitude, bias = magnitude } } } } }
--
-- and the box rule for pixels in [0, 1], whose lower bound needs no term:
--
--     local zero_box = { kind = "linear", groups = { { terms = { { input = rules.plain, weight = rules.plain },
--       { input = { constant = 1 }, weight = { negative = -1 } } } } } }
--
-- Modifiers that are not given are `none`: they make 0 of everything. `coefficient` (1), `gate` ("all") and `epsilon`
-- (1e-6) are a group's other fields; with an epsilon of 0, an output whose sum is 0 passes nothing on.
--
-- Kinds besides "linear": "gated" and "contrastive" (DL-Backtrace), "gradient", "pass", "block", "own".
--
-- @module secateur.attribution.rules
local errors = require "secateur.util.errors"
local options = require "secateur.util.options"

local EPSILON = 1e-6

local MAX_CHANNELS = 16 -- as the core has room for

local modifiers = {
  plain = { plain = 1 },
  positive = { positive = 1 },
  negative = { negative = 1 },
  magnitude = { positive = 1, negative = -1 },
  one = { constant = 1 },
  none = {},
}

--- Modifiers: `rules.plain`, `positive`, `negative`, `magnitude`, `one` and `none`. Each look gives a table of its own,
-- so that changing one changes no other rule.
local rules = setmetatable({}, { __index = function(_, name)
  local copy = modifiers[name] and {}
  for key, value in pairs(modifiers[name] or {}) do copy[key] = value end
  return copy
end })

local function check_number(name, argument, value, least, default)
  local rule = { type = "number", min = least, above = not least and -math.huge or nil, below = math.huge,
    default = default, required = default == nil }
  return options.value("rules." .. name, argument, value, rule)
end

local function term(input, weight, bias)
  return { input = rules[input], weight = rules[weight], bias = rules[bias] }
end

local function linear(name, groups)
  for _, group in ipairs(groups) do group.epsilon = group.epsilon or EPSILON end
  return { name = name, kind = "linear", groups = groups }
end

--- R_i = x_i sum_j w_ij R_j / stab(z_j).
-- @number[opt=1e-6] epsilon
function rules.epsilon(epsilon)
  epsilon = check_number("epsilon", "epsilon", epsilon, 0, EPSILON)
  return linear("epsilon", { { epsilon = epsilon, terms = { term("plain", "plain", "plain") } } })
end

local function positive_terms()
  return { term("positive", "positive", "positive"), term("negative", "negative", "none") }
end

local function negative_terms()
  return { term("positive", "negative", "negative"), term("negative", "positive", "none") }
end

--- Positive contributions only: s = R / stab(W+ x+ + W- x- + b+).
function rules.zplus() return linear("zplus", { { terms = positive_terms() } }) end

--- alpha times the positive contributions' shares minus beta times the negative ones'; conserves if alpha - beta = 1.
-- @number alpha
-- @number beta
function rules.alphabeta(alpha, beta)
  alpha = check_number("alphabeta", "alpha", alpha, 0)
  beta = check_number("alphabeta", "beta", beta, 0)
  return linear("alphabeta", { { coefficient = alpha, terms = positive_terms() },
    { coefficient = -beta, terms = negative_terms() } })
end

--- Positive contributions count 1 + gamma times where the output is positive, negative ones where it is negative.
-- @number gamma
function rules.gamma(gamma)
  gamma = check_number("gamma", "gamma", gamma, 0)
  local function up() return { plain = 1, positive = gamma } end
  local function down() return { plain = 1, negative = gamma } end
  return linear("gamma", {
    { gate = "positive", terms = { { input = rules.positive, weight = up(), bias = up() },
      { input = rules.negative, weight = down(), bias = {} } } },
    { gate = "negative", terms = { { input = rules.positive, weight = down(), bias = down() },
      { input = rules.negative, weight = up(), bias = {} } } },
  })
end

--- Equally among all inputs.
function rules.flat() return linear("flat", { { terms = { term("one", "one", "none") } } }) end

--- Proportional to the squared weights.
function rules.wsquare()
  return linear("wsquare", { { terms = { { input = rules.one, weight = { square = 1 }, bias = { square = 1 } } } } })
end

--- For inputs bounded by low and high: s = R / stab(W x - W+ low - W- high).
-- @param low a number, or a list of one per channel
-- @param high the same
function rules.zbox(low, high)
  local lists = type(low) == "table" and type(high) == "table"
  if not lists then
    low, high = { check_number("zbox", "low", low) }, { check_number("zbox", "high", high) }
  end
  for name, bound in pairs(lists and { low = low, high = high } or {}) do
    if #bound == 0 or #bound > MAX_CHANNELS then
      errors.refuse("rules.zbox", "%s: expected 1 to %d numbers, one per channel, got %d", name, MAX_CHANNELS, #bound)
    end
    for c, value in ipairs(bound) do check_number("zbox", ("%s[%d]"):format(name, c), value) end
  end
  if #low ~= #high then
    errors.refuse("rules.zbox", "high: expected %d numbers, as many as low has, got %d", #low, #high)
  end
  for c, value in ipairs(low) do
    if value > high[c] then
      errors.refuse("rules.zbox", "high%s: expected at least low (%s), got %s", lists and ("[%d]"):format(c) or "",
        value, options.describe(high[c]))
    end
  end
  local function constant(bound)
    return lists and { constants = table.move(bound, 1, #bound, 1, {}) } or { constant = bound[1] }
  end
  return linear("zbox", { { terms = {
    term("plain", "plain", "none"),
    { input = constant(low), weight = { positive = -1 }, bias = {} },
    { input = constant(high), weight = { negative = -1 }, bias = {} },
  } } })
end

--- Proportional to the magnitudes of the contributions, DL-Backtrace's share for sums and averages; 0 where all are 0.
function rules.magnitudes()
  return linear("magnitudes", { { epsilon = 0, terms = { term("magnitude", "magnitude", "magnitude") } } })
end

--- DL-Backtrace's share for convolutions and linear layers, with the gates of the activation that follows:
--
--     R_i = sum_j R_j (sP_j (x_i w_ij)+ + sN_j |(x_i w_ij)-|) / (sP_j P_j + sN_j N_j + |b_j|)
--
-- P and N are the sums of the magnitudes of an output's positive and negative contributions. With t = P - N + b, sP is
-- 0 where t is below the lower limit of the activation, sN where it is above the upper one (tanh -2 and 2, sigmoid -4
-- and 4; ReLU's 0 changes nothing, since a closed ReLU receives no relevance), else both are 1; for GELU and SiLU, sN
-- is 0 where act(t) = act(P + b+), sP where act(t) = act(-N + b-), as numbers of the precision that the network runs
-- in.
--
-- Mode "package" is what dl_backtrace computes: convolutions take t = P + N without the bias, closed gates leave the
-- numerator only, so that relevance is lost, and there are no gates but those of tanh, sigmoid and SiLU, which the
-- package calls swish: x / (1 + exp(-0.75 x)), with a lower limit of -6. Where the package divides by 0 it gives NaN;
-- here nothing passes.
-- @string[opt="default"] mode "default" or "package"
function rules.dlb(mode)
  mode = options.value("rules.dlb", "mode", mode, { one_of = { "default", "package" }, default = "default" })
  return { name = "dlb", kind = "gated", mode = mode }
end

--- DL-Backtrace's contrastive share, for convolutions, linear layers, sums and averages, where two signals travel: the
-- contributions that prevail (the positive ones if t = P - N + b > 0) take the larger of the two, the others the
-- smaller one, each in proportion to their magnitudes:
--
--     t > 0 and R+ > R-, or t < 0 and R+ < R-:   R+_i += (z_ij)+ R+_j / P_j,   R-_i += |(z_ij)-| R-_j / N_j
--     otherwise, unless t = 0:                   R-_i += (z_ij)+ R-_j / P_j,   R+_i += |(z_ij)-| R+_j / N_j
--
-- An output with contributions of one sign hands them both; at t = 0 nothing passes. The bias absorbs nothing. The rule
-- is the package's, and is not continuous: where R+ = R-, and where t = 0, a last bit decides who takes which share, so
-- that results of two libraries may differ visibly there.
function rules.contrastive() return { name = "contrastive", kind = "contrastive" } end

--- Handed on as a gradient is: max pools (all to the first maximum), flatten, concat.
function rules.gradient() return { name = "gradient", kind = "gradient" } end

--- Unchanged.
function rules.pass() return { name = "pass", kind = "pass" } end

--- Nothing passes.
function rules.block() return { name = "block", kind = "block" } end

--- The operation's own rule.
-- @string[opt="default"] mode "default", "ties" (max pools: equally among tied maxima), "detach_weights" (attention
--   weights are constants) or "pass" (layer norm: unchanged)
function rules.own(mode)
  mode = options.value("rules.own", "mode", mode, { one_of = { "default", "ties", "detach_weights", "pass" },
    default = "default", renamed = { hold = "detach_weights" } })
  return { name = "own", kind = "own", mode = mode, epsilon = EPSILON }
end

return rules
