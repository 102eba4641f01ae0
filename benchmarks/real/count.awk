# Words and their counts, the sum of the numbers, the longest line; by functions, arrays and matching.
function longer(a, b) { return length(a) > length(b) ? a : b }
{
    sum += $1
    for (i = 2; i <= NF; i++) count[$i]++
    line = longer(line, $0)
    if ($0 ~ /sun.*(der|pel)+$/) matched++
}
END {
    for (word in count) { different++; if (count[word] > most) { most = count[word]; top = word } }
    printf "%d %d %d %s %d %d\n", NR, different, most, top, sum % 1000003, matched
    print toupper(substr(line, 1, 40))
}
