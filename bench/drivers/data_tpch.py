"""Six queries of TPC-H, with their validation parameters: by the Dataset API, in Polars, and in SQL.

The first two join in the same order. Prices are floats for all, and q9 looks at green parts, as the specification's
text does.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

__all__ = ("DATASET_QUERIES", "POLARS_QUERIES", "SQL_QUERIES", "TABLES")

TABLES = ("lineitem", "orders", "customer", "supplier", "nation", "region", "part", "partsupp")
DATE = datetime.date

SQL_QUERIES = {
    "tpch_q1": """
        select l_returnflag, l_linestatus, sum(l_quantity) as sum_qty, sum(l_extendedprice) as sum_base_price,
            sum(l_extendedprice * (1 - l_discount)) as sum_disc_price,
            sum(l_extendedprice * (1 - l_discount) * (1 + l_tax)) as sum_charge, avg(l_quantity) as avg_qty,
            avg(l_extendedprice) as avg_price, avg(l_discount) as avg_disc, count(*) as count_order
        from lineitem where l_shipdate <= date '1998-09-02'
        group by l_returnflag, l_linestatus order by l_returnflag, l_linestatus""",
    "tpch_q3": """
        select l_orderkey, sum(l_extendedprice * (1 - l_discount)) as revenue, o_orderdate, o_shippriority
        from customer, orders, lineitem
        where c_mktsegment = 'BUILDING' and c_custkey = o_custkey and l_orderkey = o_orderkey
            and o_orderdate < date '1995-03-15' and l_shipdate > date '1995-03-15'
        group by l_orderkey, o_orderdate, o_shippriority order by revenue desc, o_orderdate limit 10""",
    "tpch_q5": """
        select n_name, sum(l_extendedprice * (1 - l_discount)) as revenue
        from customer, orders, lineitem, supplier, nation, region
        where c_custkey = o_custkey and l_orderkey = o_orderkey and l_suppkey = s_suppkey
            and c_nationkey = s_nationkey and s_nationkey = n_nationkey and n_regionkey = r_regionkey
            and r_name = 'ASIA' and o_orderdate >= date '1994-01-01' and o_orderdate < date '1995-01-01'
        group by n_name order by revenue desc""",
    "tpch_q6": """
        select sum(l_extendedprice * l_discount) as revenue from lineitem
        where l_shipdate >= date '1994-01-01' and l_shipdate < date '1995-01-01'
            and l_discount between 0.045 and 0.075 and l_quantity < 24""",
    "tpch_q9": """
        select n_name as nation, year(o_orderdate) as o_year,
            sum(l_extendedprice * (1 - l_discount) - ps_supplycost * l_quantity) as sum_profit
        from part, supplier, lineitem, partsupp, orders, nation
        where s_suppkey = l_suppkey and ps_suppkey = l_suppkey and ps_partkey = l_partkey and p_partkey = l_partkey
            and o_orderkey = l_orderkey and s_nationkey = n_nationkey and p_name like '%green%'
        group by n_name, o_year order by n_name, o_year desc""",
    "tpch_q18": """
        select c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) as quantity
        from customer, orders, lineitem
        where o_orderkey in (select l_orderkey from lineitem group by l_orderkey having sum(l_quantity) > 300)
            and c_custkey = o_custkey and o_orderkey = l_orderkey
        group by c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice
        order by o_totalprice desc, o_orderdate limit 100""",
}


def _dataset_q1(data: Any, root: str) -> Any:
    from ray_async.data.aggregate import Count, Mean, Sum
    from ray_async.data.expressions import col

    price = col("l_extendedprice") * (1 - col("l_discount"))
    lines = data.read_parquet(f"{root}/lineitem").filter(expr=col("l_shipdate") <= DATE(1998, 9, 2))
    lines = lines.with_columns({"disc_price": price, "charge": price * (1 + col("l_tax"))})
    return lines.groupby(["l_returnflag", "l_linestatus"]).aggregate(
        Sum("l_quantity", alias_name="sum_qty"), Sum("l_extendedprice", alias_name="sum_base_price"),
        Sum("disc_price", alias_name="sum_disc_price"), Sum("charge", alias_name="sum_charge"),
        Mean("l_quantity", alias_name="avg_qty"), Mean("l_extendedprice", alias_name="avg_price"),
        Mean("l_discount", alias_name="avg_disc"), Count(alias_name="count_order"),
    )  # fmt: skip


def _dataset_q3(data: Any, root: str) -> Any:
    from ray_async.data.aggregate import Sum
    from ray_async.data.expressions import col

    customers = data.read_parquet(f"{root}/customer").filter(expr=col("c_mktsegment") == "BUILDING")
    orders = data.read_parquet(f"{root}/orders").filter(expr=col("o_orderdate") < DATE(1995, 3, 15))
    lines = data.read_parquet(f"{root}/lineitem").filter(expr=col("l_shipdate") > DATE(1995, 3, 15))
    customers = customers.select_columns(["c_custkey"])
    orders = orders.select_columns(["o_orderkey", "o_custkey", "o_orderdate", "o_shippriority"])
    lines = lines.select_columns(["l_orderkey", "l_extendedprice", "l_discount"])
    found = orders.join(customers, "inner", on=("o_custkey",), right_on=("c_custkey",))
    found = lines.join(found, "inner", on=("l_orderkey",), right_on=("o_orderkey",))
    found = found.with_column("volume", col("l_extendedprice") * (1 - col("l_discount")))
    found = found.groupby(["l_orderkey", "o_orderdate", "o_shippriority"]).aggregate(
        Sum("volume", alias_name="revenue")
    )
    return found.sort(["revenue", "o_orderdate"], descending=[True, False]).limit(10)


def _dataset_q5(data: Any, root: str) -> Any:
    from ray_async.data.aggregate import Sum
    from ray_async.data.expressions import col

    regions = data.read_parquet(f"{root}/region").filter(expr=col("r_name") == "ASIA").select_columns(["r_regionkey"])
    nations = data.read_parquet(f"{root}/nation").select_columns(["n_nationkey", "n_name", "n_regionkey"])
    customers = data.read_parquet(f"{root}/customer").select_columns(["c_custkey", "c_nationkey"])
    day = col("o_orderdate")
    orders = data.read_parquet(f"{root}/orders").filter(expr=(day >= DATE(1994, 1, 1)) & (day < DATE(1995, 1, 1)))
    orders = orders.select_columns(["o_orderkey", "o_custkey"])
    lines = data.read_parquet(f"{root}/lineitem")
    lines = lines.select_columns(["l_orderkey", "l_suppkey", "l_extendedprice", "l_discount"])
    suppliers = data.read_parquet(f"{root}/supplier").select_columns(["s_suppkey", "s_nationkey"])
    found = regions.join(nations, "inner", on=("r_regionkey",), right_on=("n_regionkey",))
    found = found.join(customers, "inner", on=("n_nationkey",), right_on=("c_nationkey",))
    found = found.join(orders, "inner", on=("c_custkey",), right_on=("o_custkey",))
    found = found.join(lines, "inner", on=("o_orderkey",), right_on=("l_orderkey",))
    found = found.join(suppliers, "inner", on=("l_suppkey", "n_nationkey"), right_on=("s_suppkey", "s_nationkey"))
    found = found.with_column("volume", col("l_extendedprice") * (1 - col("l_discount")))
    return found.groupby("n_name").aggregate(Sum("volume", alias_name="revenue")).sort("revenue", descending=True)


def _dataset_q6(data: Any, root: str) -> Any:
    from ray_async.data.aggregate import Sum
    from ray_async.data.expressions import col

    day, discount = col("l_shipdate"), col("l_discount")
    lines = data.read_parquet(f"{root}/lineitem").filter(
        expr=(day >= DATE(1994, 1, 1)) & (day < DATE(1995, 1, 1)) & (discount >= 0.045) & (discount <= 0.075)
        & (col("l_quantity") < 24)
    )  # fmt: skip
    lines = lines.with_column("volume", col("l_extendedprice") * discount)
    return lines.groupby(None).aggregate(Sum("volume", alias_name="revenue"))


def _dataset_q9(data: Any, root: str) -> Any:
    from ray_async.data.aggregate import Sum
    from ray_async.data.expressions import col

    parts = data.read_parquet(f"{root}/part").filter(expr=col("p_name").str.contains("green"))
    parts = parts.select_columns(["p_partkey"])
    costs = data.read_parquet(f"{root}/partsupp").select_columns(["ps_partkey", "ps_suppkey", "ps_supplycost"])
    nations = data.read_parquet(f"{root}/nation").select_columns(["n_nationkey", "n_name"])
    suppliers = data.read_parquet(f"{root}/supplier").select_columns(["s_suppkey", "s_nationkey"])
    lines = data.read_parquet(f"{root}/lineitem").select_columns(
        ["l_orderkey", "l_partkey", "l_suppkey", "l_quantity", "l_extendedprice", "l_discount"]
    )
    orders = data.read_parquet(f"{root}/orders").select_columns(["o_orderkey", "o_orderdate"])
    found = parts.join(costs, "inner", on=("p_partkey",), right_on=("ps_partkey",))
    found = found.join(suppliers, "inner", on=("ps_suppkey",), right_on=("s_suppkey",))
    found = found.join(lines, "inner", on=("p_partkey", "ps_suppkey"), right_on=("l_partkey", "l_suppkey"))
    found = found.join(orders, "inner", on=("l_orderkey",), right_on=("o_orderkey",))
    found = found.join(nations, "inner", on=("s_nationkey",), right_on=("n_nationkey",))
    gain = col("l_extendedprice") * (1 - col("l_discount")) - col("ps_supplycost") * col("l_quantity")
    found = found.with_columns({"o_year": col("o_orderdate").dt.year(), "profit": gain})
    found = found.groupby(["n_name", "o_year"]).aggregate(Sum("profit", alias_name="sum_profit"))
    return found.sort(["n_name", "o_year"], descending=[False, True])


def _dataset_q18(data: Any, root: str) -> Any:
    from ray_async.data.aggregate import Sum
    from ray_async.data.expressions import col

    lines = data.read_parquet(f"{root}/lineitem").select_columns(["l_orderkey", "l_quantity"])
    large = lines.groupby("l_orderkey").aggregate(Sum("l_quantity", alias_name="quantity"))
    large = large.filter(expr=col("quantity") > 300)
    orders = data.read_parquet(f"{root}/orders")
    orders = orders.select_columns(["o_orderkey", "o_custkey", "o_orderdate", "o_totalprice"])
    customers = data.read_parquet(f"{root}/customer").select_columns(["c_custkey", "c_name"])
    found = orders.join(large, "inner", on=("o_orderkey",), right_on=("l_orderkey",))
    found = found.join(customers, "inner", on=("o_custkey",), right_on=("c_custkey",))
    return found.sort(["o_totalprice", "o_orderdate"], descending=[True, False]).limit(100)


DATASET_QUERIES: dict[str, Callable[[Any, str], Any]] = {
    "tpch_q1": _dataset_q1,
    "tpch_q3": _dataset_q3,
    "tpch_q5": _dataset_q5,
    "tpch_q6": _dataset_q6,
    "tpch_q9": _dataset_q9,
    "tpch_q18": _dataset_q18,
}


def _scan(root: str, table: str) -> Any:
    import polars as pl

    return pl.scan_parquet(f"{root}/{table}/*.parquet")


def _polars_q1(root: str) -> Any:
    import polars as pl

    price = pl.col("l_extendedprice") * (1 - pl.col("l_discount"))
    return (
        _scan(root, "lineitem").filter(pl.col("l_shipdate") <= DATE(1998, 9, 2))
        .group_by("l_returnflag", "l_linestatus").agg(
            sum_qty=pl.col("l_quantity").sum(), sum_base_price=pl.col("l_extendedprice").sum(),
            sum_disc_price=price.sum(), sum_charge=(price * (1 + pl.col("l_tax"))).sum(),
            avg_qty=pl.col("l_quantity").mean(), avg_price=pl.col("l_extendedprice").mean(),
            avg_disc=pl.col("l_discount").mean(), count_order=pl.len(),
        ).sort("l_returnflag", "l_linestatus")
    )  # fmt: skip


def _polars_q3(root: str) -> Any:
    import polars as pl

    customers = _scan(root, "customer").filter(pl.col("c_mktsegment") == "BUILDING")
    orders = _scan(root, "orders").filter(pl.col("o_orderdate") < DATE(1995, 3, 15))
    lines = _scan(root, "lineitem").filter(pl.col("l_shipdate") > DATE(1995, 3, 15))
    found = customers.join(orders, left_on="c_custkey", right_on="o_custkey")
    found = found.join(lines, left_on="o_orderkey", right_on="l_orderkey")
    revenue = (pl.col("l_extendedprice") * (1 - pl.col("l_discount"))).sum().alias("revenue")
    found = found.group_by("o_orderkey", "o_orderdate", "o_shippriority").agg(revenue)
    return found.sort("revenue", "o_orderdate", descending=[True, False]).head(10)


def _polars_q5(root: str) -> Any:
    import polars as pl

    day = pl.col("o_orderdate")
    found = _scan(root, "region").filter(pl.col("r_name") == "ASIA")
    found = found.join(_scan(root, "nation"), left_on="r_regionkey", right_on="n_regionkey")
    found = found.join(_scan(root, "customer"), left_on="n_nationkey", right_on="c_nationkey")
    orders = _scan(root, "orders").filter((day >= DATE(1994, 1, 1)) & (day < DATE(1995, 1, 1)))
    found = found.join(orders, left_on="c_custkey", right_on="o_custkey")
    found = found.join(_scan(root, "lineitem"), left_on="o_orderkey", right_on="l_orderkey")
    found = found.join(
        _scan(root, "supplier"), left_on=["l_suppkey", "n_nationkey"], right_on=["s_suppkey", "s_nationkey"]
    )
    revenue = (pl.col("l_extendedprice") * (1 - pl.col("l_discount"))).sum().alias("revenue")
    return found.group_by("n_name").agg(revenue).sort("revenue", descending=True)


def _polars_q6(root: str) -> Any:
    import polars as pl

    day = pl.col("l_shipdate")
    lines = _scan(root, "lineitem").filter(
        (day >= DATE(1994, 1, 1)) & (day < DATE(1995, 1, 1)) & pl.col("l_discount").is_between(0.045, 0.075)
        & (pl.col("l_quantity") < 24)
    )  # fmt: skip
    return lines.select((pl.col("l_extendedprice") * pl.col("l_discount")).sum().alias("revenue"))


def _polars_q9(root: str) -> Any:
    import polars as pl

    found = _scan(root, "part").filter(pl.col("p_name").str.contains("green", literal=True))
    found = found.join(_scan(root, "partsupp"), left_on="p_partkey", right_on="ps_partkey")
    found = found.join(_scan(root, "supplier"), left_on="ps_suppkey", right_on="s_suppkey")
    found = found.join(
        _scan(root, "lineitem"), left_on=["p_partkey", "ps_suppkey"], right_on=["l_partkey", "l_suppkey"]
    )
    found = found.join(_scan(root, "orders"), left_on="l_orderkey", right_on="o_orderkey")
    found = found.join(_scan(root, "nation"), left_on="s_nationkey", right_on="n_nationkey")
    gain = pl.col("l_extendedprice") * (1 - pl.col("l_discount")) - pl.col("ps_supplycost") * pl.col("l_quantity")
    found = found.select("n_name", pl.col("o_orderdate").dt.year().alias("o_year"), gain.alias("profit"))
    found = found.group_by("n_name", "o_year").agg(pl.col("profit").sum().alias("sum_profit"))
    return found.sort("n_name", "o_year", descending=[False, True])


def _polars_q18(root: str) -> Any:
    import polars as pl

    large = _scan(root, "lineitem").group_by("l_orderkey").agg(pl.col("l_quantity").sum().alias("quantity"))
    large = large.filter(pl.col("quantity") > 300)
    found = _scan(root, "orders").join(large, left_on="o_orderkey", right_on="l_orderkey")
    found = found.join(_scan(root, "customer"), left_on="o_custkey", right_on="c_custkey")
    found = found.select("c_name", "o_custkey", "o_orderkey", "o_orderdate", "o_totalprice", "quantity")
    return found.sort("o_totalprice", "o_orderdate", descending=[True, False]).head(100)


POLARS_QUERIES: dict[str, Callable[[str], Any]] = {
    "tpch_q1": _polars_q1,
    "tpch_q3": _polars_q3,
    "tpch_q5": _polars_q5,
    "tpch_q6": _polars_q6,
    "tpch_q9": _polars_q9,
    "tpch_q18": _polars_q18,
}
