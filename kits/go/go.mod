module ampy-conform.invalid/kit

go 1.23
