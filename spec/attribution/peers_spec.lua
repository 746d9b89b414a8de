local peers = require "support.peers"

-- Where the packages depart from the definitions, and what the comparison does about it:
--
-- * zennit merges a batch norm into the layer before it, but what is left of the norm still divides by sqrt(1 + eps).
--   We fold exactly; the parameters are divided here by that factor, and then all agrees ("norms" has eps 0).
-- * zennit's composites leave max pools to torch's gradient: the first of tied maxima. So do ours; DL-Backtrace shares.
-- * lxt adds its epsilons without regard to sign; both sides take 0 here. Its product of probabilities and values gives
--   each one half, also where the probabilities are constants; for cp_lrp the values' share is doubled.
-- * dl_backtrace's linear layer loses relevance where an output has no positive or no negative term (a sum of 0 counts
--   as 1); its convolution does not, and stands for it. It splits sums in halves: networks with sums are left out.
-- * captum's riemann_trapezoid has weights 1 / n for n nodes, which sum to 1 - 1 / n; its conductance takes no weights:
--   a left sum over n intervals, and so is ours. Its weights are float32 always.
local function check(net)
  local faults, all = {}, {}
  for _, method in ipairs(peers.methods(net)) do
    for _, row in ipairs(peers.rows(net, method)) do
      all[#all + 1] = row
      if row.distance > row.tolerance then
        local text = "%s, %s, %s: off by %.2g (%.2g of the largest), tolerance %.2g"
        faults[#faults + 1] = text:format(row.key, row.name, row.build, row.absolute, row.distance, row.tolerance)
      end
    end
  end
  assert.same({}, faults)
  assert.same({}, peers.missing(net, all)) -- every tensor of the file is compared
end

describe("published packages and ours explain alike", function()
  for _, net in ipairs(peers.networks()) do
    it("the network " .. net.name, function() check(net) end)
  end

  it("over networks of every kind", function()
    local seen, count = {}, 0
    for _, net in ipairs(peers.networks()) do
      count = count + 1
      seen["batch " .. #net.targets] = true
      for _, node in ipairs(net.nodes) do
        local attrs = node[4]
        seen[node[1]] = true
        if node[1] == "conv2d" then
          for _, stride in ipairs(attrs.stride) do seen[("stride %d"):format(stride)] = true end
          seen.bare = seen.bare or not attrs.bias
          seen.groups = seen.groups or attrs.groups > 1
          seen.dilation = seen.dilation or attrs.dilation[1] > 1
          seen.padding = seen.padding or attrs.padding[1] ~= attrs.padding[2]
        end
      end
    end
    assert.is_true(count >= 15)
    for _, feature in ipairs { "batch 1", "batch 3", "stride 2", "stride 3", "bare", "groups", "dilation", "padding",
      "add", "concat", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d", "batch_norm2d", "softmax", "layer_norm" } do
      assert.is_true(seen[feature], feature)
    end
  end)
end)
