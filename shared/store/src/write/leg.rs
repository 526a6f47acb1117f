//! A write as one leg of a transaction.

use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem, Update};

use super::{Action, Write};
use crate::Broken;

pub(super) fn leg(write: Write, table: &str) -> Result<TransactWriteItem, Broken> {
    write.sound()?;
    let expression = &write.expression;
    let (condition, names, values) =
        (expression.condition(), expression.names(), expression.values());
    let key = write.key.attributes();
    let empty = TransactWriteItem::builder();
    let bad = |cause| Broken::new("TransactWriteItems", cause);
    Ok(match write.action {
        Action::Put(item) => {
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(item))
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values);
            empty.put(put.build().map_err(bad)?)
        }
        Action::Delete => {
            let delete = Delete::builder()
                .table_name(table)
                .set_key(Some(key))
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values);
            empty.delete(delete.build().map_err(bad)?)
        }
        Action::Check => {
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key))
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values);
            empty.condition_check(check.build().map_err(bad)?)
        }
        Action::Update(clauses) => {
            let update = Update::builder()
                .table_name(table)
                .set_key(Some(key))
                .update_expression(clauses.text())
                .set_condition_expression(condition)
                .set_expression_attribute_names(names)
                .set_expression_attribute_values(values);
            empty.update(update.build().map_err(bad)?)
        }
    }
    .build())
}
