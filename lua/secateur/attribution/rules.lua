--- Relevance rules for operations that are linear in their inputs, as data (Bach et al. 2015; Montavon et al. 2019;
-- Kohlbrenner et al. 2020).
--
-- A rule is a list of groups. Each group runs the operation on modified inputs, weights and biases (its terms), divides
-- the relevance by the sum, and hands it back along the same terms:
--
--     R_in = sum over groups of  coefficient * sum over terms of  x' * B'(R_out / stabilised sum of F'(x'))
--
-- A modifier maps v to plain v + positive max(v, 0) + negative min(v, 0) + square v^2 + constant; fields not given
-- are 0. So a new rule is a table:
--
--     local rule = { kind = "linear", groups = { { epsilon = 1e-6, terms = {
--       { input = rules.plain, weight = { plain = 1, positive = 0.5 }, bias = rules.none } } } } }
--
-- @module secateur.attribution.rules
local rules = {}

--- Modifiers.
rules.plain = { plain = 1 }
rules.positive = { positive = 1 }
rules.negative = { negative = 1 }
rules.magnitude = { positive = 1, negative = -1 }
rules.one = { constant = 1 }
rules.none = {}

local EPSILON = 1e-6

local function group(terms, fields)
  local made = { epsilon = EPSILON, terms = terms }
  for key, value in pairs(fields or {}) do made[key] = value end
  return made
end

local function term(input, weight, bias) return { input = input, weight = weight, bias = bias } end

--- R_i = x_i sum_j w_ij R_j / stab(z_j).
-- @number[opt=1e-6] epsilon
function rules.epsilon(epsilon)
  local fields = { epsilon = epsilon or EPSILON }
  local terms = { term(rules.plain, rules.plain, rules.plain) }
  return { name = "epsilon", kind = "linear", groups = { group(terms, fields) } }
end

local function positive_terms()
  return { term(rules.positive, rules.positive, rules.positive), term(rules.negative, rules.negative, rules.none) }
end

local function negative_terms()
  return { term(rules.positive, rules.negative, rules.negative), term(rules.negative, rules.positive, rules.none) }
end

--- Positive contributions only: s = R / stab(W+ x+ + W- x- + b+).
function rules.zplus()
  return { name = "zplus", kind = "linear", groups = { group(positive_terms()) } }
end

--- alpha times the positive contributions' shares minus beta times the negative ones'; conserves if alpha - beta = 1.
-- @number alpha
-- @number beta
function rules.alphabeta(alpha, beta)
  return { name = "alphabeta", kind = "linear", groups = {
    group(positive_terms(), { coefficient = alpha }), group(negative_terms(), { coefficient = -beta }) } }
end

--- Positive contributions count 1 + gamma times where the output is positive, negative ones where it is negative.
-- @number gamma
function rules.gamma(gamma)
  local up, down = { plain = 1, positive = gamma }, { plain = 1, negative = gamma }
  return { name = "gamma", kind = "linear", groups = {
    group({ term(rules.positive, up, up), term(rules.negative, down, rules.none) }, { gate = "positive" }),
    group({ term(rules.positive, down, down), term(rules.negative, up, rules.none) }, { gate = "negative" }),
  } }
end

--- Equally among all inputs.
function rules.flat()
  return { name = "flat", kind = "linear", groups = { group { term(rules.one, rules.one, rules.none) } } }
end

--- Proportional to the squared weights.
function rules.wsquare()
  local square = { square = 1 }
  return { name = "wsquare", kind = "linear", groups = { group { term(rules.one, square, square) } } }
end

--- For inputs bounded by low and high: s = R / stab(W x - W+ low - W- high).
-- @number low
-- @number high
function rules.zbox(low, high)
  return { name = "zbox", kind = "linear", groups = { group {
    term(rules.plain, rules.plain, rules.none),
    term({ constant = low }, { positive = -1 }, rules.none),
    term({ constant = high }, { negative = -1 }, rules.none),
  } } }
end

--- Proportional to the magnitudes of the contributions, DL-Backtrace's share for sums and averages; 0 where all are 0.
function rules.magnitudes()
  return { name = "magnitudes", kind = "linear", groups = {
    group({ term(rules.magnitude, rules.magnitude, rules.magnitude) }, { epsilon = 0 }) } }
end

--- DL-Backtrace's share for convolutions and linear layers, with the gates of the activation that follows.
function rules.dlb() return { name = "dlb", kind = "gated" } end

--- Handed on as a gradient is: max pools (all to the first maximum), flatten, concat.
function rules.gradient() return { name = "gradient", kind = "gradient" } end

--- Unchanged.
function rules.pass() return { name = "pass", kind = "pass" } end

--- Nothing passes.
function rules.block() return { name = "block", kind = "block" } end

--- The operation's own rule.
-- @string[opt="default"] mode "default", "ties" (max pools: equally among tied maxima), "hold" (attention weights are
--   constants) or "pass" (layer norm: unchanged)
function rules.own(mode) return { name = "own", kind = "own", mode = mode or "default", epsilon = EPSILON } end

return rules
