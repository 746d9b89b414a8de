local files = require "secateur.util.files"
local latex = require "secateur.report.latex"
local temporary = require "support.temporary"

local hostile = "a_b%c$d#e&f{g}h~i^j\\k <l> \"m\" 'n' `o` [p] -- |q| * ünï ß 中 α \27[31m \xFF"

local function some()
  local shown = { caption = "What " .. hostile, label = "some", names = 2, span = "Δ of a_b & c",
    heads = { "Method", "Sampling" }, lines = {} }
  for i = 1, 9 do shown.heads[i + 2] = { ("0.%d"):format(i), "at" } end
  shown.heads[5] = ("a_very_long_name-"):rep(4)
  for i = 1, 3 do
    local line = { "LRP", i == 2 and hostile or "random", group = tostring(i // 2) }
    for j = 1, 9 do line[j + 2] = { text = "-0.120 ± 0.05", best = j == i } end
    shown.lines[i] = line
  end
  return shown
end

describe("a LaTeX table", function()
  it("escapes names", function()
    assert.equal("a\\_b\\%c\\$d\\#e\\&f\\{g\\}h\\textasciitilde{}i\\textasciicircum{}j\\textbackslash{}k",
      latex.escape "a_b%c$d#e&f{g}h~i^j\\k")
    assert.equal("$\\Delta$ $\\geq$ 0.5 $\\pm$ 0.1 -- ü \\texttt{U+4E2D}", latex.escape "Δ ≥ 0.5 ± 0.1 – ü 中")
    assert.equal("a{-}{-}b", latex.escape "a--b")
    assert.equal("\\textbackslash{}x1B", latex.escape "\27")
    assert.equal("a b", latex.escape "a\nb")
  end)

  it("is a float with rules of booktabs", function()
    local shown = { caption = "Why.", label = "drops", names = 1, span = "Δ", heads = { "Method", { "0.50", "x" } },
      lines = { { "LRP", { text = "-0.100 ± 0.02", best = true }, group = "a" }, { "my_own", "≥ 0.3", group = "b" } } }
    assert.equal([[
% \usepackage{booktabs}
\begin{table}[tbp]
\centering
\caption{Why.}
\label{tab:drops}
\small
\begin{tabular}{lr}
\toprule
 & \multicolumn{1}{c}{$\Delta$} \\
\cmidrule(lr){2-2}
Method & 0.50 \\
\midrule
LRP & \textbf{$-$0.100 $\pm$ 0.02} \\
\addlinespace
my\_\allowbreak{}own & $\geq$ 0.3 \\
\bottomrule
\end{tabular}
\end{table}
]], latex.table(shown))
  end)

  it("has as many cells in each line as columns, and what is opened is closed", function()
    local text = latex.table(some())
    local open, plain = {}, text:gsub("\\[\\{}%%&$#_]", "")
    for kind, name in text:gmatch "\\(%l+){(%l+%*?)}" do
      if kind == "begin" then open[#open + 1] = name end
      if kind == "end" then assert.equal(name, table.remove(open)) end
    end
    assert.same({}, open)
    assert.equal(select(2, plain:gsub("{", "")), select(2, plain:gsub("}", "")))
    assert.equal(0, select(2, plain:gsub("%$", "")) % 2)
    local parts, numbers = 0, 0
    for columns, body in text:gmatch "\\begin{tabular}{([lr%d.p{}em]+)}\n(.-)\\end{tabular}" do
      local count = #columns:gsub("p{[%d.]+em}", "p")
      parts, numbers = parts + 1, numbers + count - 2
      for line in body:gmatch "[^\n]+" do
        if line:find "\\\\$" and not line:find "multicolumn" then
          assert.equal(count - 1, select(2, line:gsub("\\&", ""):gsub("&", "")), line)
        end
      end
    end
    assert.is_true(parts > 1) -- nine columns of numbers are too wide for a page
    assert.equal(9, numbers)
  end)

  it("compiles", function()
    if not os.execute "command -v pdflatex >/dev/null 2>&1 && kpsewhich booktabs.sty >/dev/null 2>&1" then
      pending "needs pdflatex with booktabs"
      return
    end
    local folder = temporary.folder()
    temporary.write(folder, "table.tex", latex.table(some()))
    temporary.write(folder, "main.tex", "\\documentclass{article}\n\\usepackage{booktabs}\n\\begin{document}\n"
      .. "\\input{table.tex}\n\\end{document}\n")
    local pipe <close> = io.popen(("cd '%s' && TEXMFVAR=\"$PWD/var\" pdflatex -halt-on-error "
      .. "-interaction=nonstopmode main.tex 2>&1"):format(folder))
    local said = pipe:read "a"
    local made = files.is_file(files.join(folder, "main.pdf"))
    files.remove(folder)
    assert.is_true(made, said)
    assert.falsy(said:find("! ", 1, true), said)
    assert.falsy(said:find("Overfull", 1, true), said)
  end)
end)
